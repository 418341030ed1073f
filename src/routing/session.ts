import type { Consistency } from '../config/types.ts'
import { laterOf } from '../nodes/position.ts'
import type { Position } from '../nodes/position.ts'

/** What a session asks of its reads. */
export interface SessionWishes {
  readonly consistency?: Consistency | undefined
  readonly maxLagMs?: number | undefined
}

/**
 * What a causal scope has written and seen, and must not un-see. Pure: it is told what happened, and
 * time is passed in.
 */
export class Session<N> {
  /** Opened by the application: it never degrades, and it reads monotonically. */
  readonly explicit: boolean
  /** The replica of its last read; an explicit session stays there while it can. */
  lastRead: N | undefined
  /** Settles when the position of its last write, and so of all before, is known. */
  pending: Promise<unknown> | undefined
  /** How many writes have committed in it. */
  expected = 0
  /** It has written, and the primary has not told yet how far that is: it alone is sure to show it. */
  isUnsettled = false
  /** What it must see cannot be known: the primary serves it while it has room for such reads. */
  prefersPrimary = false
  /** What it has written or seen is lost: no read of it can be served. */
  lost: Error | undefined
  /** What the session asks of its reads, unless a call says otherwise. */
  readonly wishes: SessionWishes
  #position: Position | undefined
  #stickyUntil = -Infinity
  #recentUntil = -Infinity

  constructor(explicit: boolean, wishes: SessionWishes = {}) {
    this.explicit = explicit
    this.wishes = wishes
  }

  /** Whether something was written in it, also while the position of that is not known yet. */
  get hasWritten(): boolean {
    return this.expected > 0
  }

  /** How far a node must have come to serve this session. */
  get position(): Position | undefined {
    return this.#position
  }

  /**
   * It has written or seen this.
   *
   * @param until - for so long a node that does not tell its position may not show it yet
   */
  reached(position: Position, until: number): void {
    this.#position = laterOf(this.#position, position)
    this.#recentUntil = Math.max(this.#recentUntil, until)
  }

  /** Its position in the present history, in place of one in an older history. */
  moved(position: Position): void {
    this.#position = position
  }

  /** It has written, and where cannot be known: for a while only the primary is sure to show it. */
  reachedUnknown(until: number): void {
    this.#stickyUntil = Math.max(this.#stickyUntil, until)
  }

  /** Whether what it must see is so new that a node which does not tell its position may not show it. */
  isRecent(now: number): boolean {
    return now < this.#recentUntil
  }

  /** Whether only the primary is sure to show what the session has written. */
  needsPrimary(now: number): boolean {
    return this.isUnsettled || now < this.#stickyUntil
  }
}
