import { RUNTIME_LIMITS } from '../config/defaults.ts'
import { LagBook } from '../nodes/lag.ts'
import type { Lag } from '../nodes/lag.ts'
import type { Node } from '../nodes/node.ts'
import { probePosition } from '../nodes/probe.ts'
import type { ServerState } from '../nodes/state.ts'
import { askNode } from './ask-node.ts'
import type { Members } from './topology.ts'

/** A server that does not tell its position in this time is not known to be fresh. */
const PROBE_TIMEOUT_MS = 500
/** How often a replica that is too far behind is asked whether it still is, while others serve. */
const RECHECK_MS = 100

/** A replica that is nearer than that cannot be told from one that is this far behind by the monitor's probes. */
const PROBED_MS = 2 * RUNTIME_LIMITS.monitor.intervalMs

const NO_LAG: Lag = { bytes: 0, ms: 0 }

/**
 * Knows how far the replicas are behind, from the monitor's probes. Servers are asked besides only
 * when a read must know more exactly than these can tell, once for all reads that wait at that moment.
 */
export class Freshness {
  readonly #members: Members
  readonly #isWatched: () => boolean
  readonly #book = new LagBook<Node>()
  #round: Promise<void> | undefined
  #askedAt = -Infinity

  /** @param isWatched - whether nodes are probed on a timer */
  constructor(members: Members, isWatched: () => boolean) {
    this.#members = members
    this.#isWatched = isWatched
  }

  /** The primary is another one: its positions do not continue the old one's. */
  reset(): void {
    this.#book.clear()
    this.#askedAt = -Infinity
  }

  /** What was known of a node counts no more. */
  forget(node: Node): void {
    this.#book.forget(node)
  }

  /** A node has told its state. */
  observe(node: Node, { at, position, inRecovery }: ServerState): void {
    if (position === undefined) return
    if (node !== this.#members.primary) this.#book.recordReplica(node, position, at)
    else if (!inRecovery) this.#book.recordPrimary(at, position)
  }

  /** How far a node was behind when it was asked last; `undefined` when nothing is known. */
  lag(node: Node): Lag | undefined {
    return node === this.#members.primary ? NO_LAG : this.#book.lag(node, performance.now())
  }

  /** The same in milliseconds alone. */
  lagMs(node: Node): number | undefined {
    return this.lag(node)?.ms
  }

  /** Whether a node is known to be at most so far behind. */
  isWithin(node: Node, maxLagMs: number): boolean {
    if (node === this.#members.primary) return true
    return (this.#book.atMostMs(node, performance.now()) ?? Infinity) <= maxLagMs
  }

  /** Whether a node has everything that the primary was known to have: all that can be told while there is none. */
  hasAllKnown(node: Node): boolean {
    return this.#book.hasAllKnown(node)
  }

  /**
   * Asks the servers unless a candidate is known to be fresh enough. A replica that is found behind is
   * asked once more: on a busy primary it has nearly always caught up by then. While some can serve,
   * the others are asked now and then without keeping the read waiting.
   */
  async update(maxLagMs: number, candidates: readonly Node[]): Promise<void> {
    const late = (): readonly Node[] => candidates.filter((node) => !this.isWithin(node, maxLagMs))
    for (let round = 0; round < 2; round++) {
      const behind = late()
      if (behind.length === 0 || this.#probesDecide(maxLagMs, behind)) return
      if (behind.length < candidates.length) {
        if (performance.now() - this.#askedAt > RECHECK_MS) void this.#ask()
        return
      }
      await this.#ask()
    }
  }

  /** Whether asking would tell nothing that the monitor's probes do not tell as well. */
  #probesDecide(maxLagMs: number, behind: readonly Node[]): boolean {
    if (!this.#isWatched() || maxLagMs < PROBED_MS) return false
    const now = performance.now()
    if (now - this.#askedAt < PROBED_MS) return true
    return behind.every((node) => this.#book.atMostMs(node, now) !== undefined)
  }

  /** One round of questions serves all who want to know at that moment. */
  #ask(): Promise<void> {
    return (this.#round ??= this.#askAll().finally(() => (this.#round = undefined)))
  }

  async #askAll(): Promise<void> {
    const { primary, replicas } = this.#members
    const at = (this.#askedAt = performance.now())
    const source = await askNode(primary, PROBE_TIMEOUT_MS, probePosition)
    // Roles may have changed meanwhile: it is no longer the one that lag is measured by.
    if (source === undefined || primary !== this.#members.primary) return
    this.#book.recordPrimary(at, source)
    await Promise.all(
      replicas.map(async (node) => {
        const askedAt = performance.now()
        const replica = await askNode(node, PROBE_TIMEOUT_MS, probePosition)
        if (replica === undefined || primary !== this.#members.primary) return
        this.#book.recordReplica(node, replica, askedAt)
      }),
    )
  }
}
