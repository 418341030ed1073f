import type { ClientBase } from 'pg'
import type { Position } from '../nodes/position.ts'
import { probeWriteFacts, probeWritePosition } from '../nodes/probe.ts'
import type { WriteFacts } from '../nodes/probe.ts'
import { askNode } from './ask-node.ts'
import type { Members } from './topology.ts'

/** A primary that does not tell its position in this time has none for these writes. */
const ASK_TIMEOUT_MS = 1_000

/** A question that has not been sent yet: what commits until then is covered by it. */
interface Question {
  asynchronous: boolean
  readonly answer: Promise<Position | undefined>
  readonly resolve: (position: Position | undefined) => void
}

/**
 * Positions of writes. One question to the primary serves all writes that committed before it was
 * sent: those that come while one is under way share the next one.
 */
export class WritePositions {
  readonly #members: Members
  #next: Question | undefined
  /** The question that is under way. */
  #sent: Question | undefined
  #asking = false
  #facts: WriteFacts | undefined
  #factsAt = -Infinity

  constructor(members: Members) {
    this.#members = members
  }

  /** The primary is another one. */
  reset(): void {
    this.#facts = undefined
  }

  /** The position that covers a write that has committed by now; `undefined` when the server does not tell. */
  after(asynchronous: boolean): Promise<Position | undefined> {
    const question = (this.#next ??= createQuestion())
    question.asynchronous ||= asynchronous
    if (!this.#asking) void this.#askAll()
    return question.answer
  }

  /** Asks on one connection until nobody wants to know any more. */
  async #askAll(): Promise<void> {
    this.#asking = true
    while (this.#next !== undefined) {
      const asked = await askNode(this.#members.primary, ASK_TIMEOUT_MS, async (client) => {
        const facts = await this.#factsFrom(client)
        // A connection is taken for a while, not for ever: its age and the deadline must count.
        for (let turn = 0; turn < QUESTIONS_PER_LEASE && this.#next !== undefined; turn++) {
          await this.#ask(client, facts)
        }
        return true
      })
      if (asked === undefined) this.#giveUp()
    }
    this.#asking = false
  }

  async #ask(client: ClientBase, facts: WriteFacts): Promise<void> {
    // From here on it is too late to join: the next write starts a new question.
    const question = this.#next
    this.#next = undefined
    this.#sent = question
    if (question === undefined) return
    question.resolve(await probeWritePosition(client, facts, question.asynchronous))
    this.#sent = undefined
  }

  async #factsFrom(client: ClientBase): Promise<WriteFacts> {
    const now = performance.now()
    if (this.#facts === undefined || now - this.#factsAt > FACTS_MAX_AGE_MS) {
      this.#facts = await probeWriteFacts(client)
      this.#factsAt = now
    }
    return this.#facts
  }

  /** The server did not answer: nobody must wait for it. */
  #giveUp(): void {
    this.#sent?.resolve(undefined)
    this.#next?.resolve(undefined)
    this.#sent = this.#next = undefined
    // It may not be the same server when it answers again.
    this.#facts = undefined
  }
}

/** A promotion or a changed setting is noticed within this time. */
const FACTS_MAX_AGE_MS = 1_000

/** Far less than fit into the deadline. */
const QUESTIONS_PER_LEASE = 50

const createQuestion = (): Question => {
  let resolve: Question['resolve'] = () => {}
  const answer = new Promise<Position | undefined>((settle) => (resolve = settle))
  return { asynchronous: false, answer, resolve }
}
