import { laterOf } from '../nodes/position.ts'
import type { Position } from '../nodes/position.ts'

/**
 * What a causal scope has written and seen, and must not un-see. Pure: it is told what happened, and
 * time is passed in.
 */
export class Session<N> {
  /** Opened by the application: it never degrades, and it reads monotonically. */
  readonly explicit: boolean
  /** The replica of its last read; an explicit session stays there while it can. */
  lastRead: N | undefined
  #position: Position | undefined
  #stickyUntil = -Infinity
  #hasWritten = false
  readonly #pending = new Set<Promise<unknown>>()
  #expected = 0

  constructor(explicit: boolean) {
    this.explicit = explicit
  }

  /** How far a node must have come to serve this session. */
  get position(): Position | undefined {
    return this.#position
  }

  /** It has written or seen this. */
  reached(position: Position): void {
    this.#position = laterOf(this.#position, position)
  }

  /** It has written, and where cannot be known: for a while only the primary is sure to show it. */
  reachedUnknown(until: number): void {
    this.#stickyUntil = Math.max(this.#stickyUntil, until)
  }

  /** Whether only the primary is sure to show what the session has written. */
  needsPrimary(now: number): boolean {
    return now < this.#stickyUntil
  }

  /** Whether something was written in it, also while the position of that is not known yet. */
  get hasWritten(): boolean {
    return this.#hasWritten
  }

  /** A write of the session whose position is still being asked. */
  expect(pending: Promise<unknown>): void {
    this.#hasWritten = true
    this.#expected++
    this.#pending.add(pending)
    void pending.finally(() => this.#pending.delete(pending))
  }

  /** How many positions have been asked for since it began. */
  get expected(): number {
    return this.#expected
  }

  /** Resolves when the positions of everything so far are known; what is written meanwhile does not count. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#pending)
  }

  get hasPending(): boolean {
    return this.#pending.size > 0
  }
}
