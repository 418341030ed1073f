import type { Lsn } from './position.ts'

/** Where the primary stood at a time of our own clock. */
interface Sample {
  readonly at: number
  readonly lsn: Lsn
}

/** Enough to place a replica that is a minute behind at one sample a second. */
const SAMPLES_KEPT = 64

/**
 * Lag by one clock: a replica that stands where the primary stood at time t is `now - t` behind.
 * Servers' clocks are not asked, and an idle primary gives no false lag. Pure: time is passed in.
 */
export class LagBook<Replica> {
  readonly #samples: Sample[] = []
  readonly #freshAt = new Map<Replica, number>()

  /** @param at - when the primary was asked, not when it answered: the position is at least this old */
  recordPrimary(at: number, lsn: Lsn): void {
    this.#samples.push({ at, lsn })
    if (this.#samples.length > SAMPLES_KEPT) this.#samples.shift()
  }

  /** A replica has replayed up to this position. */
  recordReplica(replica: Replica, lsn: Lsn): void {
    const reached = this.#samples.findLast((sample) => sample.lsn <= lsn)
    if (reached === undefined) return
    this.#freshAt.set(replica, Math.max(reached.at, this.#freshAt.get(replica) ?? -Infinity))
  }

  /** The most that a replica can be behind now, in milliseconds; `undefined` when nothing is known. */
  lagMs(replica: Replica, now: number): number | undefined {
    const freshAt = this.#freshAt.get(replica)
    return freshAt === undefined ? undefined : Math.max(0, now - freshAt)
  }
}
