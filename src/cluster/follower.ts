import type { ClientBase } from 'pg'
import type { Node } from '../nodes/node.ts'
import type { Lsn, Position } from '../nodes/position.ts'
import { probePosition, probeReplayedTimeline } from '../nodes/probe.ts'
import type { QuestionLine } from './question-line.ts'

/** A replica replays within a millisecond as a rule; one that does not is asked less and less often. */
const FIRST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 50

/** How often a replica that others stand in for is asked whether it has caught up. */
const RECHECK_MS = 10

/** How often a replica is asked again which timeline it is on, while that is not the one that is wanted. */
const TIMELINE_RECHECK_MS = 100

/** How far a replica has come. */
export type Reached = Omit<Position, 'systemIdentifier'>

/** Somebody who waits until a replica shows a position. */
export interface Waiter {
  readonly position: Position
  readonly wake: (reached: boolean) => void
  /** A replica does not tell: it is of no use to wait for it. */
  readonly refused: (by: Follower) => void
}

/** What one replica has replayed as far as is known, and who waits for more. */
export class Follower {
  readonly #line: QuestionLine
  readonly #waiters = new Set<Waiter>()
  #replayed: Lsn = 0n
  /** The timeline that its replay follows, which `#replayed` belongs to. */
  #timeline: number | undefined
  #timelineAt = -Infinity
  /** What is known comes from this connection; on another one the server may be another. */
  #client: ClientBase | undefined
  #polling = false
  #recheckedAt = -Infinity
  /** It did not reach what was waited for with the first question: others are asked first. */
  isLate = false

  constructor(line: QuestionLine) {
    this.#line = line
  }

  get replayed(): Lsn {
    return this.#replayed
  }

  /** The timeline of its position, where it tells. */
  get timeline(): number | undefined {
    return this.#timeline
  }

  /** Whether it is being asked for somebody who waits. */
  get isPolling(): boolean {
    return this.#polling
  }

  /** Whether it tells positions at all. */
  get tells(): boolean {
    return this.#line.tellsPosition
  }

  /** Whether it is known to have replayed a position. A log sequence number of another timeline says nothing. */
  has({ timeline, lsn }: Position): boolean {
    return this.#replayed >= lsn && this.#timeline === timeline
  }

  /** What was known may belong to another history. Who waits goes on waiting. */
  reset(): void {
    this.#replayed = 0n
    this.#timeline = undefined
    this.#timelineAt = -Infinity
  }

  add(waiter: Waiter): void {
    if (!this.tells) {
      waiter.refused(this)
      return
    }
    this.#waiters.add(waiter)
    if (!this.#polling) void this.#poll()
  }

  remove(waiter: Waiter): void {
    this.#waiters.delete(waiter)
  }

  /** Asks once, unless that has just been done: nobody waits for it. */
  recheck(position: Position, now: number): void {
    if (this.#polling || now - this.#recheckedAt < RECHECK_MS || !this.tells) return
    this.#recheckedAt = now
    void this.ask(position.timeline).then(() => (this.isLate = !this.has(position)))
  }

  /**
   * Asks how far it has come by now; `undefined` when it does not say.
   *
   * @param timeline - the one that is waited for
   */
  async ask(timeline: number | undefined): Promise<Lsn | undefined> {
    const lsn = await this.#line.ask(async (client) => {
      if (this.#client !== undefined && client !== this.#client) this.reset()
      this.#client = client
      const now = performance.now()
      if ((this.#timeline ?? -1) !== timeline && now - this.#timelineAt > TIMELINE_RECHECK_MS) {
        this.#timelineAt = now
        // First the timeline: what is replayed afterwards lies on it or on a later one.
        const found = await probeReplayedTimeline(client)
        if (found !== this.#timeline) this.#replayed = 0n
        this.#timeline = found
      }
      return probePosition(client)
    })
    if (lsn !== undefined) this.#observe(lsn)
    return lsn
  }

  /** It has told somebody else how far it has come. */
  observe({ timeline, lsn }: Reached): void {
    this.#timeline ??= timeline
    if (this.#timeline === timeline) this.#observe(lsn)
  }

  #observe(lsn: Lsn): void {
    if (lsn > this.#replayed) this.#replayed = lsn
    for (const waiter of this.#waiters) if (this.has(waiter.position)) waiter.wake(true)
  }

  /** One poll serves all waiters, and ends with the last of them. */
  async #poll(): Promise<void> {
    this.#polling = true
    let pauseMs = FIRST_PAUSE_MS
    for (;;) {
      const [first] = this.#waiters
      if (first === undefined) break
      await this.ask(first.position.timeline)
      this.isLate = this.#waiters.has(first)
      if (!this.tells) this.#refuse()
      if (this.#waiters.size === 0) break
      await new Promise<void>((resolve) => setTimeout(resolve, pauseMs))
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5)
    }
    this.#polling = false
  }

  #refuse(): void {
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) waiter.refused(this)
  }
}

/** A follower for each node. */
export class Followers {
  readonly #lineOf: (node: Node) => QuestionLine
  readonly #followers = new Map<Node, Follower>()

  constructor(lineOf: (node: Node) => QuestionLine) {
    this.#lineOf = lineOf
  }

  all(): Iterable<Follower> {
    return this.#followers.values()
  }

  delete(node: Node): void {
    this.#followers.delete(node)
  }

  of(node: Node): Follower {
    let follower = this.#followers.get(node)
    if (follower === undefined) {
      this.#followers.set(node, (follower = new Follower(this.#lineOf(node))))
    }
    return follower
  }
}
