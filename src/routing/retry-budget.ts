/** How many retries there may be. */
export interface RetryLimits {
  /** This share of all reads. */
  readonly share: number
  /** So many a second, if that is more: a quiet process must be able to retry too. */
  readonly perSecond: number
}

/**
 * Within such a time reads or seconds pay, whichever are worth more, never now these and now those: else
 * a slow trickle of reads could be retried beyond both.
 */
const ACCOUNT_MS = 10_000

/** For how long the largest number of reads in flight on one node is remembered. */
const BURST_WINDOW_MS = 10_000

/**
 * Keeps retries of reads from multiplying the load when servers fail for lack of time: they may make
 * up a share of the reads, and beyond it one burst of what can fail together when a node dies. Pure:
 * time is passed in.
 */
export class RetryBudget {
  readonly #limits: RetryLimits
  /** Retries of this account, and the reads since it was opened, which pay for them as time does. */
  #spent = 0
  #reads = 0
  #openedAt: number | undefined
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
    const limit = Math.max(this.#limits.perSecond, this.#burst, this.#lastBurst)
    if (this.#owed(now) + 1 > limit) return false
    this.#spent += 1
    return true
  }

  /** What is not paid for yet. Nothing is saved up: an account that is paid is closed. */
  #owed(now: number): number {
    const { share, perSecond } = this.#limits
    const elapsedMs = now - (this.#openedAt ??= now)
    const paid = Math.max(share * this.#reads, (perSecond * elapsedMs) / 1_000)
    if (paid < this.#spent && elapsedMs <= ACCOUNT_MS) return this.#spent - paid
    this.#spent = Math.max(0, this.#spent - paid)
    this.#reads = 0
    this.#openedAt = now
    return this.#spent
  }
}
