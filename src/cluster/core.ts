import { EventEmitter } from 'node:events'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import type { ClusterConfig, NodeConfig } from '../config/types.ts'
import { ClusterClosedError, ConfigError, UnknownNodeError } from '../errors.ts'
import { Node } from '../nodes/node.ts'
import type { PoolOptions } from '../nodes/options.ts'
import { createBalancer } from '../routing/balancers.ts'
import { describeFailure } from '../routing/failures.ts'
import { FallbackBudget } from '../routing/fallback-budget.ts'
import { Router } from '../routing/router.ts'
import { admit } from './admission.ts'
import { ConsistencyKeeper } from './consistency.ts'
import { currentSession } from './context.ts'
import { publish } from './events.ts'
import type { ClusterEvents, EventSource, NodeEvent } from './events.ts'
import { Failover } from './failover.ts'
import { Freshness } from './freshness.ts'
import type { Target } from './statement.ts'
import { Telemetry } from './telemetry.ts'
import { Topology } from './topology.ts'

/** What the parts of a cluster share: its nodes, its rules, its events and whether it is open. */
export class Core {
  readonly config: ClusterConfig
  readonly poolOptions: PoolOptions
  readonly topology: Topology
  readonly failover: Failover
  readonly router: Router<Node>
  readonly freshness: Freshness
  readonly consistency: ConsistencyKeeper
  /** Reads of replicas that are behind, which the primary is serving now. */
  readonly fallback: FallbackBudget
  readonly events: EventSource = new EventEmitter<ClusterEvents>()
  readonly telemetry: Telemetry
  state: 'open' | 'closing' | 'closed' = 'open'

  constructor(config: ClusterConfig, pool: PoolOptions) {
    this.config = config
    this.poolOptions = pool
    const open = (node: NodeConfig): Node =>
      new Node(node, {
        pool,
        quarantine: RUNTIME_LIMITS.quarantine,
        beginWrite: () => this.consistency.beginWrite(),
        admit: (of, client, purpose) => admit(this, of, client, purpose),
        onRecovery: (of, inRecovery) => this.#heard(of, inRecovery),
        onChange: (changed) => this.#changed(changed),
      })
    this.topology = new Topology([open(config.primary), ...config.replicas.map(open)], () =>
      this.#reorganised(),
    )
    const { settings } = config
    this.failover = new Failover({
      topology: this.topology,
      oneServer: settings.allowSameServer,
      isOpen: () => this.state !== 'closed',
      announce: (event) => publish(this.events, 'primary', event),
    })
    this.consistency = new ConsistencyKeeper(this.topology, settings, () => currentSession(this))
    this.fallback = new FallbackBudget(() =>
      Math.max(1, Math.floor(this.primary.config.pool * settings.fallbackShare)),
    )
    this.freshness = new Freshness(this.topology)
    this.telemetry = new Telemetry(this)
    this.router = new Router(this.topology, createBalancer(settings.balancing))
    this.router.share = settings.replicaShare
  }

  get nodes(): readonly Node[] {
    return this.topology.nodes
  }

  get primary(): Node {
    return this.topology.primary
  }

  get replicas(): readonly Node[] {
    return this.topology.replicas
  }

  /** @throws ClusterClosedError when the cluster takes no new work */
  assertOpen(): void {
    if (this.state !== 'open') throw new ClusterClosedError()
  }

  /**
   * The nodes that a target means.
   *
   * @throws UnknownNodeError when there is none
   */
  nodesFor(target: Target): readonly Node[] {
    if (target === 'primary') return [this.primary]
    if (target === 'replica') return this.replicas
    const named = this.nodes.filter(({ name }) => name === target)
    const found = named.length > 0 ? named : this.nodes.filter(({ tags }) => tags.includes(target))
    if (found.length > 0) return found
    const tags = this.nodes.flatMap((node) => node.tags)
    throw new UnknownNodeError(target, [
      ...new Set(['primary', 'replica', ...this.nodes.map(({ name }) => name), ...tags]),
    ])
  }

  /**
   * A replica that refuses us for good is not a missing replica: when all do, the mistake must not
   * hide behind a primary that answers in their place.
   *
   * @throws ConfigError when every replica is configured wrongly
   */
  assertNotMisconfigured(): void {
    if (this.replicas.length === 0) return
    const now = performance.now()
    // When the time in quarantine is over, one read finds out whether it has been mended.
    const refused = (node: Node): boolean =>
      node.health.cause === 'misconfigured' && node.isQuarantined(now)
    if (!this.replicas.every(refused)) return
    throw new ConfigError(
      this.replicas.map(({ name, lastError }) => ({
        message: `the server refused the connection (${describeFailure(lastError)}): check user, password, database and TLS`,
        path: name,
      })),
      { cause: this.replicas[0]?.lastError },
    )
  }

  /** `allow_same_server`: nodes of one identity are one server. */
  get oneServer(): boolean {
    return this.config.settings.allowSameServer
  }

  /** A connection has heard whether its server is in recovery: what we take it for may be over. */
  #heard(node: Node, inRecovery: boolean): void {
    if (node === this.primary && inRecovery) this.failover.suspect(node)
    if (node !== this.primary && !inRecovery && !this.oneServer) this.failover.check()
  }

  /** What was known of positions belongs to other roles, or to another history. */
  #reorganised(): void {
    this.router.invalidate()
    this.consistency.reset()
    this.freshness.reset()
  }

  #changed(node: Node): void {
    this.router.invalidate()
    const { cause, until } = node.health
    publish(this.events, 'node', {
      node: node.name,
      role: node.role,
      state: STATES[cause],
      quarantineMs: Math.max(0, Math.round(until - performance.now())),
      error: node.lastError && describeFailure(node.lastError),
    })
  }
}

const STATES: Record<Node['health']['cause'], NodeEvent['state']> = {
  none: 'healthy',
  unreachable: 'quarantined',
  misconfigured: 'misconfigured',
}
