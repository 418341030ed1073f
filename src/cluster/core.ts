import { EventEmitter } from 'node:events'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import type { ClusterConfig, ClusterSettings, NodeConfig } from '../config/types.ts'
import { ClusterClosedError, NodeUnresponsiveError } from '../errors.ts'
import { Node } from '../nodes/node.ts'
import type { PoolOptions } from '../nodes/options.ts'
import { createBalancer } from '../routing/balancers.ts'
import { FallbackBudget } from '../routing/fallback-budget.ts'
import { faultOf, faultOfNotice, NO_ANSWER } from '../routing/failures.ts'
import { RetryBudget } from '../routing/retry-budget.ts'
import { Router } from '../routing/router.ts'
import { admit } from './admission.ts'
import { Candidates } from './candidates.ts'
import { ConsistencyKeeper } from './consistency.ts'
import { currentSession } from './context.ts'
import { publish } from './events.ts'
import type { ClusterEvents, EventSource } from './events.ts'
import { Failover } from './failover.ts'
import { Freshness } from './freshness.ts'
import { doubt, judge } from './judge.ts'
import { Telemetry } from './telemetry.ts'
import { Topology } from './topology.ts'
import { Responsiveness } from './responsiveness.ts'
import { NodeWatch } from './watch.ts'

/** What the parts of a cluster share: its nodes, its rules, its events and whether it is open. */
export class Core {
  #config: ClusterConfig
  readonly poolOptions: PoolOptions
  readonly topology: Topology
  readonly failover: Failover
  readonly router: Router<Node>
  /** Which nodes a read may go to. */
  readonly candidates: Candidates
  readonly freshness: Freshness
  readonly consistency: ConsistencyKeeper
  /** Reads of replicas that are behind, which the primary is serving now. */
  readonly fallback: FallbackBudget
  /** What has happened to reads, since the cluster was opened. */
  readonly counts = { staleReads: 0, refusedTokens: 0, lostHistories: 0 }
  readonly retries = new RetryBudget(RUNTIME_LIMITS.retries)
  readonly #responsiveness = new WeakMap<Node, Responsiveness>()
  readonly events: EventSource = new EventEmitter<ClusterEvents>()
  readonly telemetry: Telemetry
  /** What is known of the nodes comes through this. */
  readonly watch: NodeWatch
  state: 'open' | 'closing' | 'closed' = 'open'
  /** Nodes that have left the configuration, with what still runs on them. */
  readonly #leaving = new Set<Node>()
  readonly #attached: ((node: Node) => void)[] = []
  #sameHistory = false

  constructor(config: ClusterConfig, pool: PoolOptions) {
    this.#config = config
    this.poolOptions = pool
    const nodes = [config.primary, ...config.replicas].map((node) => this.open(node))
    this.topology = new Topology(nodes as [Node, ...Node[]], () => this.#reorganised())
    this.candidates = new Candidates(this.topology)
    const { settings } = config
    this.failover = new Failover({
      topology: this.topology,
      isOneServer: () => this.oneServer,
      isOpen: () => this.state !== 'closed',
      announce: (event) => publish(this.events, 'primary', event),
      onAnswers: () => this.watch.judgeAll(),
    })
    this.consistency = new ConsistencyKeeper(this.topology, this, () => currentSession(this), {
      lost: (event) => {
        this.counts.lostHistories++
        publish(this.events, 'history', event)
      },
      silent: (node, withoutMs) =>
        doubt(this, node, new NodeUnresponsiveError(node.name, withoutMs)),
      failover: this.failover,
    })
    this.fallback = new FallbackBudget(() =>
      Math.max(1, Math.floor(this.primary.config.pool * this.settings.fallbackShare)),
    )
    this.freshness = new Freshness(this.topology, () => this.watch.monitor.isWatching)
    this.telemetry = new Telemetry(this)
    this.router = new Router(this.topology, createBalancer(settings.balancing))
    this.router.share = settings.replicaShare
    this.watch = new NodeWatch({
      members: this.topology,
      settings: () => this.settings,
      freshness: this.freshness,
      consistency: this.consistency,
      events: this.events,
      onRefit: () => this.#refit(),
      onProbed: (node, state) => state && this.failover.observe(node, state),
    })
  }

  /** The present configuration: the one of `connect()`, or of the last `reload()`. */
  get config(): ClusterConfig {
    return this.#config
  }

  get settings(): ClusterSettings {
    return this.#config.settings
  }

  /** A node that is not yet one of the cluster's. */
  open(config: NodeConfig): Node {
    const node: Node = new Node(config, {
      pool: this.poolOptions,
      health: () => ({ ...RUNTIME_LIMITS.quarantine, watched: this.settings.probe === 'interval' }),
      hooks: {
        beginWrite: () => this.consistency.beginWrite(),
        noticed: (notice) => this.#noticed(node.name, notice),
      },
      admit: (of, client, purpose) => admit(this, of, client, purpose),
      onRecovery: (of, inRecovery) => this.#heard(of, inRecovery),
      onChange: (changed) => this.#changed(changed),
      onReconnect: (of) => this.watch.reconnected(of),
    })
    this.#listen(node)
    return node
  }

  /** To be called with each piece of work. A promise: wait for it first, since nothing is known of the nodes. */
  use(): Promise<void> | undefined {
    return this.watch.monitor.use()
  }

  /** Calls a function with every node that there is, and with each that comes. */
  attach(to: (node: Node) => void): void {
    this.#attached.push(to)
    for (const node of this.nodes) to(node)
  }

  /** Another configuration with its nodes takes the place of the present one. */
  replace(
    config: ClusterConfig,
    nodes: readonly Node[],
    primary: Node,
    removed: readonly Node[],
  ): void {
    const { balancing, replicaShare } = this.settings
    this.#config = config
    for (const node of removed) this.#leaving.add(node)
    for (const node of nodes) {
      if (!this.nodes.includes(node)) for (const to of this.#attached) to(node)
    }
    const next = config.settings
    if (next.balancing !== balancing) this.router.balancer = createBalancer(next.balancing)
    // What was set at run time stays, unless the configuration says something new.
    if (next.replicaShare !== replicaShare) this.router.share = next.replicaShare
    this.#sameHistory = primary === this.primary
    this.topology.replace(nodes, primary)
    this.#sameHistory = false
  }

  /** Nothing runs any more on a node that has left. */
  left(node: Node): void {
    this.#leaving.delete(node)
    this.consistency.left(node)
    this.freshness.forget(node)
  }

  /** All nodes that hold connections: also those that have left and whose last statements still run. */
  get connected(): readonly Node[] {
    return this.#leaving.size === 0 ? this.nodes : [...this.nodes, ...this.#leaving]
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

  /** What notices when a node answers nothing any more. */
  responsivenessOf(node: Node): Responsiveness {
    const known = this.#responsiveness.get(node)
    if (known !== undefined) return known
    const made = new Responsiveness(node, (error) => judge(this, node, NO_ANSWER, error))
    this.#responsiveness.set(node, made)
    return made
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

  /** An idle connection that ends is the first news of a server that goes. */
  #listen(node: Node): void {
    // From now on: also what nobody reads from may stop answering.
    this.responsivenessOf(node)
    for (const connections of [node.read, node.write]) {
      connections.on('error', (error: Error) => judge(this, node, faultOf(error, 'idle'), error))
    }
  }

  #noticed(node: string, notice: object): boolean {
    const isLocal = faultOfNotice(notice)?.follows.write === 'local'
    if (isLocal) publish(this.events, 'durability', { node, durability: 'local' })
    return isLocal
  }

  /** What was known of positions belongs to other roles, or to another history. */
  #reorganised(): void {
    if (!this.#sameHistory) {
      this.consistency.reset()
      this.freshness.reset()
    }
    this.#refit()
    this.watch.reorganised()
  }

  #refit(): void {
    this.candidates.refit()
    this.router.invalidate()
  }

  #changed(node: Node): void {
    this.router.invalidate()
    this.watch.changed(node)
    if (node === this.primary && node.health.cause === 'unreachable') this.failover.suspect(node)
  }
}
