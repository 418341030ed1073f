import type { Lsn } from './position.ts'

/** Where the primary stood, and from when to when it is known to have stood there, by our own clock. */
interface Sample {
  readonly lsn: Lsn
  readonly from: number
  to: number
}

/** What is known of one replica. */
interface Reached {
  lsn: Lsn
  /** When it was asked last. */
  at: number
  /** It has everything that the primary had flushed at this time. */
  freshAt: number | undefined
}

/** How far a replica is behind as far as is known. */
export interface Lag {
  /** Of the primary's log, in bytes. */
  readonly bytes: number
  /** In milliseconds, at most; `undefined`: for longer than the primary has been watched. */
  readonly ms: number | undefined
}

/** When there are more they are thinned. */
const SAMPLES_KEPT = 256
/** Old times need not be as exact as new ones: to this part of their age. */
const EXACTNESS = 1 / 16

/** A server that has not said anything for so long is compared all the same. */
const SILENCE_MS = 2_500

/**
 * Lag by one clock: a replica that stands where the primary stood at time t is `now - t` behind.
 * Servers' clocks are not asked, and an idle primary gives no false lag. Pure: time is passed in.
 */
export class LagBook<Replica> {
  #samples: Sample[] = []
  readonly #replicas = new Map<Replica, Reached>()

  /** @param at - when the primary was asked, not when it answered: the position is at least this old */
  recordPrimary(at: number, lsn: Lsn): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && lsn < last.lsn) {
      // An answer that came late; else another history, in which nothing of this one counts.
      if (at <= last.to) return
      this.clear()
    }
    if (last !== undefined && lsn === last.lsn) last.to = Math.max(last.to, at)
    else this.#samples.push({ lsn, from: at, to: at })
    if (this.#samples.length > SAMPLES_KEPT) this.#thin()
    for (const reached of this.#replicas.values()) {
      if (reached.lsn >= lsn) reached.freshAt = later(reached.freshAt, at)
    }
  }

  /**
   * A replica has replayed up to this position.
   *
   * @param at - when it was asked
   */
  recordReplica(replica: Replica, lsn: Lsn, at: number): void {
    const reached = this.#replicas.get(replica) ?? { lsn, at, freshAt: undefined }
    this.#replicas.set(replica, reached)
    if (lsn > reached.lsn) reached.lsn = lsn
    reached.at = Math.max(reached.at, at)
    const sample = this.#samples.findLast((each) => each.lsn <= reached.lsn)
    if (sample !== undefined) reached.freshAt = later(reached.freshAt, sample.to)
  }

  /** Nothing is known of this replica any more: it was restarted, or is gone. */
  forget(replica: Replica): void {
    this.#replicas.delete(replica)
  }

  /** Nothing is known any more. */
  clear(): void {
    this.#samples = []
    this.#replicas.clear()
  }

  /** The most that a replica can be behind now, in milliseconds; `undefined` when nothing is known. */
  atMostMs(replica: Replica, now: number): number | undefined {
    const freshAt = this.#replicas.get(replica)?.freshAt
    return freshAt === undefined ? undefined : Math.max(0, now - freshAt)
  }

  /**
   * How far a replica was behind when both were asked last; `undefined` when nothing is known. Where
   * the primary stood after the replica was asked does not count, unless the replica is silent.
   */
  lag(replica: Replica, now: number): Lag | undefined {
    const reached = this.#replicas.get(replica)
    const newest = this.#samples.at(-1)
    if (reached === undefined || newest === undefined) return undefined
    const until = Math.max(reached.at, now - SILENCE_MS)
    const target = this.#samples.findLast(({ from }) => from <= until) ?? this.#samples[0]
    const bytes = target === undefined ? 0 : Math.max(0, Number(target.lsn - reached.lsn))
    const current = now - newest.to <= SILENCE_MS
    return { bytes, ms: bytes === 0 && current ? 0 : this.atMostMs(replica, now) }
  }

  /**
   * Whether a replica has everything that the primary was known to have when it was asked last. True
   * when nothing is known of the primary: nothing speaks against the replica then.
   */
  hasAllKnown(replica: Replica): boolean {
    const reached = this.#replicas.get(replica)
    return reached !== undefined && reached.lsn >= (this.#samples.at(-1)?.lsn ?? 0n)
  }

  #thin(): void {
    const newest = this.#samples.at(-1)?.to ?? 0
    let kept = -Infinity
    this.#samples = this.#samples.filter(({ to }) => {
      if (to - kept < (newest - to) * EXACTNESS) return false
      kept = to
      return true
    })
  }
}

const later = (one: number | undefined, other: number): number => Math.max(one ?? other, other)
