import { LagBook } from '../nodes/lag.ts'
import type { Node } from '../nodes/node.ts'
import { probePosition } from '../nodes/probe.ts'
import { askNode } from './ask-node.ts'
import type { Members } from './topology.ts'

/** A server that does not tell its position in this time is not known to be fresh. */
const PROBE_TIMEOUT_MS = 500
/** How often a replica that is too far behind is asked whether it still is, while others serve. */
const RECHECK_MS = 100

/**
 * Knows how far the replicas are behind. Servers are asked only when a read needs to know and what
 * is known is too old, once for all reads that wait at that moment.
 */
export class Freshness {
  readonly #members: Members
  #book = new LagBook<Node>()
  #round: Promise<void> | undefined
  #askedAt = -Infinity

  constructor(members: Members) {
    this.#members = members
  }

  /** The primary is another one: its positions do not continue the old one's. */
  reset(): void {
    this.#book = new LagBook<Node>()
  }

  /** The most that a node can be behind now, in milliseconds; `undefined` when nothing is known. */
  lagMs(node: Node): number | undefined {
    return node === this.#members.primary ? 0 : this.#book.lagMs(node, performance.now())
  }

  /** Whether a node is known to be at most so far behind. */
  isWithin(node: Node, maxLagMs: number): boolean {
    return (this.lagMs(node) ?? Infinity) <= maxLagMs
  }

  /**
   * Asks the servers unless a candidate is known to be fresh enough. A replica that is found behind is
   * asked once more: on a busy primary it has nearly always caught up by then. While some can serve,
   * the others are asked now and then without keeping the read waiting.
   */
  async update(maxLagMs: number, candidates: readonly Node[]): Promise<void> {
    const late = (): readonly Node[] => candidates.filter((node) => !this.isWithin(node, maxLagMs))
    for (let round = 0; round < 2; round++) {
      const count = late().length
      if (count === 0) return
      if (count < candidates.length) {
        if (performance.now() - this.#askedAt > RECHECK_MS) void this.#ask()
        return
      }
      await this.#ask()
    }
  }

  /** One round of questions serves all who want to know at that moment. */
  #ask(): Promise<void> {
    return (this.#round ??= this.#askAll().finally(() => (this.#round = undefined)))
  }

  async #askAll(): Promise<void> {
    const at = (this.#askedAt = performance.now())
    const book = this.#book
    const primary = await askNode(this.#members.primary, PROBE_TIMEOUT_MS, probePosition)
    if (primary === undefined) return
    book.recordPrimary(at, primary)
    await Promise.all(
      this.#members.replicas.map(async (node) => {
        const replica = await askNode(node, PROBE_TIMEOUT_MS, probePosition)
        if (replica !== undefined) book.recordReplica(node, replica)
      }),
    )
  }
}
