import type { ClusterConfig, NodeConfig } from '../config/types.ts'
import type { NodeClient } from '../nodes/client.ts'
import { LagBook } from '../nodes/lag.ts'
import type { Lsn } from '../nodes/position.ts'
import { StateProbe } from '../nodes/state.ts'
import type { ServerState } from '../nodes/state.ts'
import { closeConnection, destroyConnection, openConnection } from './connection.ts'
import type { Patience } from './connection.ts'
import { formatFailure } from './format.ts'

/** What a node was like at one moment. */
export interface Sample {
  readonly node: NodeConfig
  readonly role: 'primary' | 'replica' | undefined
  /** Why the node did not answer. */
  readonly failure: string | undefined
  readonly replayPaused: boolean | undefined
  /** `undefined`: not known, or a primary. */
  readonly lagBytes: number | undefined
  /** The most that it can be behind; with `lagIsLeast` the least. */
  readonly lagMs: number | undefined
  readonly lagIsLeast: boolean
}

/** Asks all nodes of a configuration again and again, over one connection to each. */
export class Sampler {
  readonly #nodes: readonly NodeConfig[]
  readonly #primary: NodeConfig
  readonly #patience: Patience
  readonly #clients = new Map<NodeConfig, NodeClient>()
  readonly #failures = new Map<NodeConfig, string>()
  readonly #probes = new Map<NodeConfig, StateProbe>()
  readonly #book = new LagBook<NodeConfig>()
  #firstAt: number | undefined

  constructor({ primary, replicas }: ClusterConfig, patience: Patience) {
    this.#primary = primary
    this.#nodes = [primary, ...replicas]
    this.#patience = patience
  }

  /** Asks once: the primary first, as a replica's lag is measured from where the primary stood. */
  async sample(): Promise<readonly Sample[]> {
    // The time that connecting takes is no lag.
    await Promise.all(this.#nodes.map((node) => this.#connect(node)))
    const at = performance.now()
    const source = await this.#ask(this.#primary)
    const target = 'failure' in source || source.inRecovery ? undefined : source.position
    if (target !== undefined) {
      this.#book.recordPrimary(at, target)
      this.#firstAt ??= at
    }
    const others = this.#nodes.slice(1)
    const glances = await Promise.all(others.map((node) => this.#ask(node)))
    return [
      describe(this.#primary, source, undefined),
      ...others.map((node, index) => {
        const glance = glances[index] ?? { failure: 'no answer' }
        return describe(node, glance, this.#lagOf(node, glance, target))
      }),
    ]
  }

  close(): void {
    for (const client of this.#clients.values()) closeConnection(client)
    this.#clients.clear()
  }

  #lagOf(
    node: NodeConfig,
    glance: ServerState | Silence,
    target: Lsn | undefined,
  ): LagFields | undefined {
    if ('failure' in glance || !glance.inRecovery || glance.position === undefined) return undefined
    this.#book.recordReplica(node, glance.position, glance.at)
    if (target === undefined) return undefined
    const lagBytes = glance.position >= target ? 0 : Number(target - glance.position)
    const now = performance.now()
    const lagMs = this.#book.atMostMs(node, now)
    if (lagMs !== undefined) return { lagBytes, lagMs, lagIsLeast: false }
    // It has not yet come to where the primary stood when we began.
    return { lagBytes, lagMs: now - (this.#firstAt ?? now), lagIsLeast: true }
  }

  async #connect(node: NodeConfig): Promise<void> {
    if (this.#clients.has(node)) return
    try {
      this.#clients.set(node, await openConnection(node, this.#patience))
      this.#failures.delete(node)
    } catch (error) {
      this.#failures.set(node, formatFailure(error))
    }
  }

  async #ask(node: NodeConfig): Promise<ServerState | Silence> {
    const client = this.#clients.get(node)
    if (client === undefined) return { failure: this.#failures.get(node) ?? 'no connection' }
    const probe = this.#probes.get(node) ?? new StateProbe()
    this.#probes.set(node, probe)
    try {
      return await probe.ask(client)
    } catch (error) {
      destroyConnection(client)
      this.#clients.delete(node)
      return { failure: formatFailure(error) }
    }
  }
}

interface Silence {
  readonly failure: string
}

type LagFields = Pick<Sample, 'lagBytes' | 'lagMs' | 'lagIsLeast'>

const NO_LAG: LagFields = { lagBytes: undefined, lagMs: undefined, lagIsLeast: false }

const describe = (
  node: NodeConfig,
  glance: ServerState | Silence,
  lag: LagFields | undefined,
): Sample => ({
  node,
  role: 'failure' in glance ? undefined : glance.inRecovery ? 'replica' : 'primary',
  failure: 'failure' in glance ? glance.failure : undefined,
  replayPaused: 'failure' in glance ? undefined : glance.replayPaused,
  ...(lag ?? NO_LAG),
})
