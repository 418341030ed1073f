import type { Node } from '../nodes/node.ts'
import type { Position } from '../nodes/position.ts'
import { probeWritePosition, systemIdentifier } from '../nodes/probe.ts'
import { Deadline } from './deadline.ts'
import { Lease } from './lease.ts'

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
  #systemIdentifier: Promise<string | undefined> | undefined

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
    const deadline = new Deadline({ timeoutMs: ASK_TIMEOUT_MS })
    let lease: Lease | undefined
    try {
      const taken = (lease = await Lease.take(this.#primary.control, deadline))
      const abandon = (): void => taken.abandon()
      const identifier = await deadline.race(
        (this.#systemIdentifier ??= systemIdentifier(taken.client)),
        abandon,
      )
      const position = await deadline.race(probeWritePosition(taken.client, asynchronous), abandon)
      taken.release()
      return position && { ...position, systemIdentifier: identifier }
    } catch (error) {
      lease?.release(error)
      this.#systemIdentifier = undefined
      return undefined
    }
  }
}
