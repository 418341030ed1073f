/** How many retries there may be. */
export interface RetryLimits {
  /** This share of all reads. */
  readonly share: number
  /** So many a second, if that is more: a quiet process must be able to retry too. */
  readonly perSecond: number
}

/** For how long the largest number of reads in flight on one node is remembered. */
const BURST_WINDOW_MS = 10_000

/**
 * Keeps retries of reads from multiplying the load when servers fail for lack of time: they may make
 * up a share of the reads, and beyond it one burst of what can fail together when a node dies. Pure:
 * time is passed in.
 */
export class RetryBudget {
  readonly #limits: RetryLimits
  /** Retries that reads and time have not yet paid for. */
  #spent = 0
  #reads = 0
  #paidAt: number | undefined
  /** The most reads in flight on one node, in this window and in the one before. */
  #burst = 0
  #lastBurst = 0
  #windowAt = -Infinity

  constructor(limits: RetryLimits) {
    this.#limits = limits
  }

  /** A read begins. @param inFlight - reads on its node at this moment, itself included */
  began(inFlight: number, now: number): void {
    this.#reads += 1
    if (now - this.#windowAt > BURST_WINDOW_MS) {
      this.#lastBurst = now - this.#windowAt > 2 * BURST_WINDOW_MS ? 0 : this.#burst
      this.#burst = 0
      this.#windowAt = now
    }
    if (inFlight > this.#burst) this.#burst = inFlight
  }

  /** Takes one retry; false when the budget is spent. */
  take(now: number): boolean {
    this.#pay(now)
    const limit = Math.max(this.#limits.perSecond, this.#burst, this.#lastBurst)
    if (this.#spent + 1 > limit) return false
    this.#spent += 1
    return true
  }

  #pay(now: number): void {
    const { share, perSecond } = this.#limits
    const seconds = (now - (this.#paidAt ?? now)) / 1_000
    // One of the two, never both: else a slow trickle of reads could be retried in full.
    this.#spent = Math.max(0, this.#spent - Math.max(share * this.#reads, perSecond * seconds))
    this.#reads = 0
    this.#paidAt = now
  }
}
