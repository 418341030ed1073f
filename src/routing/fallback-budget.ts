/**
 * How many reads of replicas that are behind the primary may serve at once: a lag of all replicas
 * must not bring down the primary too.
 */
export class FallbackBudget {
  readonly #limit: () => number
  #used = 0

  /** @param limit - how many there may be now */
  constructor(limit: () => number) {
    this.#limit = limit
  }

  /** Takes a place; false when all are taken. */
  take(): boolean {
    if (this.#used >= this.#limit()) return false
    this.#used++
    return true
  }

  give(): void {
    this.#used--
  }
}
