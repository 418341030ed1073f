import type { Node } from '../nodes/node.ts'
import type { Position } from '../nodes/position.ts'
import { probeWritePosition, systemIdentifier } from '../nodes/probe.ts'
import { askNode } from './ask-node.ts'

/** A primary that does not tell its position in this time has none for this write. */
const ASK_TIMEOUT_MS = 1_000

/** One question on its way: it covers what had committed before it was sent. */
interface Question {
  asynchronous: boolean
  readonly answer: Promise<Position | undefined>
}

/**
 * Positions of writes. One question to the primary serves all writes that committed before it was
 * sent: those that come while one is under way share the next one.
 */
export class WritePositions {
  readonly #primary: Node
  #running: Promise<unknown> = Promise.resolve()
  #next: Question | undefined
  #systemIdentifier: string | undefined

  constructor(primary: Node) {
    this.#primary = primary
  }

  /** The position that covers a write that has committed by now; `undefined` when the server does not tell. */
  after(asynchronous: boolean): Promise<Position | undefined> {
    const question = (this.#next ??= this.#schedule())
    question.asynchronous ||= asynchronous
    return question.answer
  }

  #schedule(): Question {
    const question: Question = {
      asynchronous: false,
      answer: this.#running.then(() => {
        // From here on it is too late to join: the next write starts a new question.
        this.#next = undefined
        return this.#ask(question.asynchronous)
      }),
    }
    this.#running = question.answer
    return question
  }

  async #ask(asynchronous: boolean): Promise<Position | undefined> {
    return askNode(this.#primary, ASK_TIMEOUT_MS, async (client) => {
      this.#systemIdentifier ??= await systemIdentifier(client)
      const position = await probeWritePosition(client, asynchronous)
      return position && { ...position, systemIdentifier: this.#systemIdentifier }
    })
  }
}
