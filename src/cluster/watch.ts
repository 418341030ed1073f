import { RUNTIME_LIMITS } from '../config/defaults.ts'
import { Monitor } from '../nodes/monitor.ts'
import type { ProbeFailure } from '../nodes/monitor.ts'
import type { Node } from '../nodes/node.ts'
import type { ServerState } from '../nodes/state.ts'
import type { Consequences } from '../routing/fault.ts'
import { describeFailure, faultOf } from '../routing/failures.ts'
import { wrongServer } from '../routing/suitability.ts'
import type { ClusterSettings } from '../config/types.ts'
import type { ConsistencyKeeper } from './consistency.ts'
import { publish } from './events.ts'
import type { EventSource, NodeState } from './events.ts'
import type { Freshness } from './freshness.ts'
import type { Members } from './topology.ts'

/** What a failed probe says of the server. */
const classifyProbe = (error: Error): ProbeFailure => {
  const { name, follows } = faultOf(error, 'connect')
  if (name === 'not accepting connections') return 'starting'
  // Nobody has said no.
  return name === 'no free connection in time' ? 'silent' : PROBE_FAILURES[follows.node]
}

const PROBE_FAILURES = {
  none: 'answered',
  'ask role': 'answered',
  eject: 'refused',
  suspect: 'silent',
  'cool down': 'overloaded',
  disable: 'misconfigured',
} as const satisfies Record<Consequences['node'], ProbeFailure>

/** What the observer needs of its cluster. */
interface Surroundings {
  readonly members: Members
  readonly settings: () => ClusterSettings
  readonly freshness: Freshness
  readonly consistency: ConsistencyKeeper
  readonly events: EventSource
  /** Which nodes may serve reads has changed. */
  readonly onRefit: () => void
  /** A probe is over; without a state the node has not answered. */
  readonly onProbed?: (node: Node, state: ServerState | undefined) => void
}

/** Brings what the monitor sees to those who go by it, and announces what has changed. */
export class NodeWatch {
  readonly monitor: Monitor
  readonly #around: Surroundings
  readonly #roles = new WeakMap<Node, Node['role']>()
  /** Replicas that are too far behind for `max_lag_ms`. */
  readonly #behind = new Set<Node>()

  constructor(around: Surroundings) {
    this.#around = around
    this.monitor = new Monitor(RUNTIME_LIMITS.monitor, {
      nodes: () => around.members.nodes,
      mode: () => around.settings().probe,
      classify: classifyProbe,
      onState: (node, state) => this.#learn(node, state),
      onProbed: (node, state) => this.#probed(node, state),
      onFrozen: () => this.#forgetAll(),
    })
    this.reorganised()
  }

  /** Roles, nodes or settings have changed. */
  reorganised(): void {
    const { members, events } = this.#around
    for (const node of members.nodes) {
      const before = this.#roles.get(node)
      this.#roles.set(node, node.role)
      if (before !== undefined && before !== node.role)
        publish(events, 'role', { node: node.name, role: node.role })
      this.#judge(node)
    }
    for (const node of this.#behind) {
      if (!members.replicas.includes(node)) this.#behind.delete(node)
    }
    this.monitor.sync()
  }

  /** Nodes have said what they are: whether each is what it should be. */
  judgeAll(): void {
    for (const node of this.#around.members.nodes) this.#judge(node)
  }

  /** A node's health has changed. */
  changed(node: Node): void {
    if (node.health.cause === 'unreachable') this.monitor.soon(node)
    this.#announce(node)
  }

  /** A node's connections are made anew: a server that was restarted may show less than it did. */
  reconnected(node: Node): void {
    this.#around.freshness.forget(node)
    this.#around.consistency.catchUp.forget(node)
  }

  #learn(node: Node, state: ServerState): void {
    const { freshness, consistency, members } = this.#around
    if (node === members.primary) for (const each of members.replicas) this.#judge(each)
    else this.#judge(node)
    if (node.wrongServer !== undefined) return
    freshness.observe(node, state)
    if (node !== members.primary) consistency.observe(node, state)
  }

  /** Whether a replica is what it should be, by what it and the primary said last. */
  #judge(node: Node): void {
    const { members, settings } = this.#around
    const before = node.wrongServer
    node.wrongServer =
      node === members.primary || node.observed === undefined
        ? undefined
        : wrongServer(node.observed, members.primary.observed, settings().allowSameServer)
    if (node.wrongServer === before) return
    if (node.wrongServer !== undefined) this.reconnected(node)
    this.#around.onRefit()
    this.#announce(node)
  }

  #probed(node: Node, state: ServerState | undefined): void {
    const { members } = this.#around
    const { maxLagMs } = this.#around.settings()
    if (maxLagMs !== undefined) {
      for (const each of node === members.primary ? members.replicas : [node])
        this.#compare(each, maxLagMs)
    }
    this.#around.onProbed?.(node, state)
  }

  #compare(node: Node, maxLagMs: number): void {
    const { freshness, members, events } = this.#around
    // What is not known for a moment, as after a new connection, is no news.
    const lag = freshness.lag(node)
    if (node === members.primary || lag?.ms === undefined) return
    // Neither is that the primary is silent: nobody can tell.
    if (members.primary.isQuarantined(performance.now())) return
    const behind = !freshness.isWithin(node, maxLagMs)
    if (behind === this.#behind.has(node)) return
    if (behind) this.#behind.add(node)
    else this.#behind.delete(node)
    publish(events, 'lag', { node: node.name, behind, lagMs: lag.ms, lagBytes: lag.bytes })
  }

  #forgetAll(): void {
    const { freshness, consistency, members } = this.#around
    for (const node of members.nodes) node.forget()
    freshness.reset()
    consistency.reset()
  }

  #announce(node: Node): void {
    const { cause, notBefore } = node.health
    publish(this.#around.events, 'node', {
      node: node.name,
      role: node.role,
      state: stateOf(node),
      quarantineMs: cause === 'none' ? 0 : Math.max(0, Math.round(notBefore - performance.now())),
      error: node.wrongServer ?? (node.lastError && describeFailure(node.lastError)),
    })
  }
}

/** Whether a node may serve, in one word. */
export const stateOf = (node: Node): NodeState => {
  const { cause } = node.health
  if (cause === 'misconfigured') return cause
  if (node.wrongServer !== undefined) return 'wrong-server'
  return cause !== 'none' && node.isQuarantined(performance.now()) ? 'quarantined' : 'healthy'
}
