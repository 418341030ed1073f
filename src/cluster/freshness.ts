import { LagBook } from '../nodes/lag.ts'
import type { Node } from '../nodes/node.ts'
import { probePosition } from '../nodes/probe.ts'
import type { Lsn } from '../nodes/position.ts'
import { Deadline } from './deadline.ts'
import { Lease } from './lease.ts'

/** A server that does not tell its position in this time is not known to be fresh. */
const PROBE_TIMEOUT_MS = 500

/**
 * Knows how far the replicas are behind. Servers are asked only when a read needs to know and what
 * is known is too old, once for all reads that wait at that moment.
 */
export class Freshness {
  readonly #primary: Node
  readonly #replicas: readonly Node[]
  readonly #book = new LagBook<Node>()
  #round: Promise<void> | undefined

  constructor(primary: Node, replicas: readonly Node[]) {
    this.#primary = primary
    this.#replicas = replicas
  }

  /** The most that a node can be behind now, in milliseconds; `undefined` when nothing is known. */
  lagMs(node: Node): number | undefined {
    return node === this.#primary ? 0 : this.#book.lagMs(node, performance.now())
  }

  /** Whether a node is known to be at most so far behind. */
  isWithin(node: Node, maxLagMs: number): boolean {
    return (this.lagMs(node) ?? Infinity) <= maxLagMs
  }

  /**
   * Asks the servers unless some replica is known to be fresh enough. A replica that is found
   * behind is asked once more: on a busy primary it has nearly always caught up by then.
   */
  async update(maxLagMs: number): Promise<void> {
    for (let round = 0; round < 2; round++) {
      if (this.#replicas.some((node) => this.isWithin(node, maxLagMs))) return
      await (this.#round ??= this.#ask().finally(() => (this.#round = undefined)))
    }
  }

  async #ask(): Promise<void> {
    const at = performance.now()
    const primary = await positionOf(this.#primary)
    if (primary === undefined) return
    this.#book.recordPrimary(at, primary)
    await Promise.all(
      this.#replicas.map(async (node) => {
        const replica = await positionOf(node)
        if (replica !== undefined) this.#book.recordReplica(node, replica)
      }),
    )
  }
}

/** A failure is the business of the reads that meet it: here the position is unknown. */
const positionOf = async (node: Node): Promise<Lsn | undefined> => {
  const deadline = new Deadline({ timeoutMs: PROBE_TIMEOUT_MS })
  let lease: Lease | undefined
  try {
    const taken = (lease = await Lease.take(node.read, deadline))
    const position = await deadline.race(probePosition(taken.client), () => taken.abandon())
    taken.release()
    return position
  } catch (error) {
    lease?.release(error)
    return undefined
  }
}
