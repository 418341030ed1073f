import type { Node } from '../nodes/node.ts'
import type { Lsn, Position } from '../nodes/position.ts'
import type { PositionQuestion } from '../nodes/position-question.ts'
import { positionAt, probeWritePosition, writeQuestion } from '../nodes/probe.ts'
import type { Session } from '../routing/session.ts'
import { PrimaryFacts } from './primary-facts.ts'
import type { QuestionLine } from './question-line.ts'

/**
 * A position that no read has needed is asked for after this time: so late that writes alone cost few
 * questions, and so soon that it does not count much of what others have written since.
 */
const LINGER_MS = 5

/** How often a primary that did not tell a position is asked again, while sessions need it. */
const RETRY_MS = 50

/** When so many writes in a row have been read by nobody, their positions are no longer asked with each. */
const UNREAD_WRITES = 3

/** When more writes than these are under way at once, one question soon serves several of them. */
const SEPARATE_WRITES = 4

/** A question that has not been sent yet: what commits until then is covered by it. */
interface Question {
  asynchronous: boolean
  /** A read waits for it. */
  urgent: boolean
  /** The sessions whose writes it covers. */
  readonly sessions: Set<Session<Node>>
  readonly answer: Promise<Position | undefined>
  readonly resolve: (position: Position | undefined) => void
}

/**
 * Positions of writes. One question to the primary serves all writes that committed before it was
 * sent: those that come while one is under way share the next one.
 */
export class WritePositions {
  readonly #primaryLine: () => QuestionLine
  /** Called when a session has got a position, or cannot get any. */
  readonly #settle: (session: Session<Node>, position: Position | undefined) => void
  #next: Question | undefined
  #asking = false
  /** Sessions that have written, and have not been told how far. The next answer covers them all. */
  readonly #unsettled = new Set<Session<Node>>()
  #unansweredAt = -Infinity
  /** Writes since the last read that needed their positions. */
  #unread = 0
  #linger: NodeJS.Timeout | undefined
  readonly #facts = new PrimaryFacts()
  #timeline: number | undefined
  /** The last answer. */
  #latest: Position | undefined

  constructor(
    primaryLine: () => QuestionLine,
    settle: (session: Session<Node>, position: Position | undefined) => void,
  ) {
    this.#primaryLine = primaryLine
    this.#settle = settle
  }

  /** The last position that the primary has told; it has come at least so far. */
  get latest(): Position | undefined {
    return this.#latest
  }

  /** The timeline of the primary, as it was last told. */
  get timeline(): number | undefined {
    return this.#timeline
  }

  /** The primary is another one: it may have another timeline. */
  reset(): void {
    this.#facts.reset()
    this.#latest = this.#timeline = undefined
  }

  /**
   * The question that is to be sent with a write, while reads need the positions of nearly all writes;
   * `undefined` where one question for many is cheaper.
   *
   * @param underWay - how many writes are, at this moment
   */
  questionWith(asynchronous: boolean, underWay: number): PositionQuestion | undefined {
    if (this.#unread > UNREAD_WRITES || underWay > SEPARATE_WRITES) return undefined
    return this.#facts.recent === undefined ? undefined : writeQuestion(asynchronous)
  }

  /** A read needs the positions of all writes so far. */
  noteRead(): void {
    this.#unread = 0
  }

  /** A write of a session has committed. What it reads from now on must see that. */
  committed(session: Session<Node>, asynchronous: boolean, lsn: Lsn | undefined): void {
    session.expected++
    this.#unread++
    const facts = this.#facts.known
    if (lsn !== undefined && facts !== undefined) {
      this.#latest = positionAt(facts, lsn)
      this.#settle(session, this.#latest)
      return
    }
    const question = (this.#next ??= this.#create())
    if (asynchronous) question.asynchronous = true
    if (session.pending === question.answer) return
    session.pending = question.answer
    question.sessions.add(session)
  }

  /** Resolves when the positions of all that a session has written so far are known. */
  async settled(session: Session<Node>): Promise<void> {
    if (session.pending === this.#next?.answer) this.#hurry()
    await session.pending
  }

  /**
   * The primary's present position, which holds everything that has committed; `undefined` when the
   * server does not tell.
   *
   * @param asynchronous - also what has not been flushed
   */
  present(asynchronous: boolean): Promise<Position | undefined> {
    const question = (this.#next ??= this.#create())
    if (asynchronous) question.asynchronous = true
    this.#hurry()
    return question.answer
  }

  /** Only what the primary tells from now on says how far a session has come. */
  async unsettle(session: Session<Node>): Promise<void> {
    this.#leaveUnsettled(session)
    await this.present(true)
  }

  /** A session has seen the primary as it is by now. */
  async see(session: Session<Node>): Promise<void> {
    const { sessions, answer } = (this.#next ??= this.#create())
    sessions.add(session)
    this.#hurry()
    await answer
  }

  /** A read needs to know how far its session has come: asks again, unless that has just been done. */
  resettle(): void {
    if (performance.now() - this.#unansweredAt >= RETRY_MS) void this.present(true)
  }

  /** Asks nothing that no read waits for. */
  close(): void {
    clearTimeout(this.#linger)
  }

  #create(): Question {
    let resolve: Question['resolve'] = () => {}
    const answer = new Promise<Position | undefined>((settle) => (resolve = settle))
    this.#linger ??= setTimeout(this.#hurry, LINGER_MS).unref()
    this.#linger.refresh()
    return { asynchronous: false, urgent: false, sessions: new Set(), answer, resolve }
  }

  readonly #hurry = (): void => {
    if (this.#next === undefined || this.#next.urgent) return
    this.#next.urgent = true
    if (!this.#asking) void this.#askAll()
  }

  async #askAll(): Promise<void> {
    this.#asking = true
    while (this.#next?.urgent) await this.#askNext()
    this.#asking = false
  }

  async #askNext(): Promise<void> {
    let question: Question | undefined
    let unsettled: readonly Session<Node>[] = []
    const { generation } = this.#facts
    let position = await this.#primaryLine().ask(async (client) => {
      const facts = await this.#facts.of(client)
      if (question === undefined) {
        // From here on it is too late to join: the next write starts a new question.
        question = this.#next
        this.#next = undefined
      }
      unsettled = [...this.#unsettled]
      const asynchronous = question?.asynchronous ?? true
      return probeWritePosition(client, facts, asynchronous || unsettled.length > 0)
    })
    if (question === undefined) {
      // Not even connected: nobody must wait for it.
      question = this.#next
      this.#next = undefined
    }
    if (generation !== this.#facts.generation) position = undefined
    if (position === undefined) {
      this.#facts.forget()
      this.#unansweredAt = performance.now()
    } else {
      this.#latest = position
      this.#timeline = position.timeline
    }
    this.#settleAll(question, unsettled, position)
    question?.resolve(position)
  }

  #settleAll(
    question: Question | undefined,
    unsettled: readonly Session<Node>[],
    position: Position | undefined,
  ): void {
    // One that tells no positions at all will not do so later.
    const isFinal = position !== undefined || this.#primaryLine().isRefused
    for (const session of question?.sessions ?? []) {
      if (session.pending === question?.answer) session.pending = undefined
      if (isFinal) this.#settle(session, position)
      else this.#leaveUnsettled(session)
    }
    if (!isFinal) return
    for (const session of unsettled) {
      session.isUnsettled = false
      this.#unsettled.delete(session)
      this.#settle(session, position)
    }
  }

  #leaveUnsettled(session: Session<Node>): void {
    session.isUnsettled = true
    this.#unsettled.add(session)
  }
}
