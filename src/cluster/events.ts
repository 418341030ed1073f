import { channel } from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import type { Routing } from './statement.ts'

/** Whether a node may serve, in one word. */
export type NodeState = 'healthy' | 'quarantined' | 'misconfigured' | 'wrong-server'

/** A change of a node's health; sent once per change, never per failure. */
export interface NodeEvent {
  /** The node's key in the configuration, such as `replica1`. */
  readonly node: string
  /** What the node is in the cluster now. */
  readonly role: 'primary' | 'replica'
  /**
   * `quarantined`: left alone after failures; `misconfigured`: it refuses our credentials or TLS;
   * `wrong-server`: it belongs to another cluster or is no replica, and serves nothing until that is mended.
   */
  readonly state: NodeState
  /** For how long the node is left alone at least, in milliseconds; 0 when healthy. */
  readonly quarantineMs: number
  /** The failure's code or class, never its text: that may name users and databases. */
  readonly error: string | undefined
}

/** A node's role in the cluster has changed. */
export interface RoleEvent {
  /** The node's key in the configuration, such as `replica1`. */
  readonly node: string
  /** What it is from now on. */
  readonly role: 'primary' | 'replica'
}

/** A replica has fallen further behind than `max_lag_ms` allows, or has caught up again. */
export interface LagEvent {
  /** The node's key in the configuration, such as `replica1`. */
  readonly node: string
  /** Whether it is too far behind. */
  readonly behind: boolean
  /** How far it is behind, in milliseconds at most. */
  readonly lagMs: number
  /** The same in bytes of the primary's log. */
  readonly lagBytes: number
}

/** `reload()` has put another configuration in place. */
export interface ReloadEvent {
  /** Nodes that are new, or whose connections are made in another way. */
  readonly added: readonly string[]
  /** Nodes that serve no more; what runs on them may finish. */
  readonly removed: readonly string[]
}

/** One statement of a pool or a model. */
export interface QueryEvent extends Routing {
  /** From the call to the answer, in milliseconds: checkout, connect, statement and retries. */
  readonly durationMs: number
  /** Whether the caller got an answer or an error. */
  readonly outcome: 'ok' | 'error'
  /** The replica that would have served it, when `replica_share` kept it on the primary. */
  readonly shadow: string | undefined
}

/** A read of the process's own session that no node could serve as it should: the freshest replica answered. */
export interface StaleEvent {
  /** The replica that answered. */
  readonly node: string
  /** Milliseconds for which a replica was waited for. */
  readonly waitedMs: number
}

/** A change of who accepts writes. */
export interface PrimaryEvent {
  /** `missing`: no server accepts writes; `split-brain`: several do, and writes are stopped. */
  readonly state: 'confirmed' | 'missing' | 'split-brain'
  /** The primary; `undefined` unless one is confirmed. */
  readonly node: string | undefined
  /** The primary before. */
  readonly previous: string
  /** The timeline on which a primary was last confirmed; `undefined` when the servers do not tell. */
  readonly timeline: number | undefined
  /** All servers that would accept writes, right or not. */
  readonly claims: readonly string[]
  /** For how long writes have waited, in milliseconds. */
  readonly withoutMs: number
  /** The cluster went back to an older timeline: confirmed writes of the newer one are gone. */
  readonly historyLost: boolean
}

/**
 * A commit that was to wait for a synchronous standby and did not: the wait was cancelled, or ended with
 * the connection. PostgreSQL answers such a COMMIT without an error.
 */
export interface DurabilityEvent {
  /** The node that has committed. */
  readonly node: string
  /** `local`: the commit is on this node, and perhaps on no other one. */
  readonly durability: 'local'
}

/** A token that `session()` got and did not honour. */
export interface TokenEvent {
  /**
   * `invalid`: not signed by one of our keys, or no token at all; `too-old` or `from-the-future`: by the
   * clock of this process; `foreign`: of another cluster; `unreached`: the primary has never come so far.
   */
  readonly problem: 'invalid' | 'too-old' | 'from-the-future' | 'foreign' | 'unreached'
}

/** What a session had written or seen is not in the history of the present primary. */
export interface HistoryEvent {
  /** The timeline of what is lost. */
  readonly timeline: number
  /** The position of what is lost, as PostgreSQL writes it. */
  readonly lsn: string
  /** The timeline of the present primary. */
  readonly presentTimeline: number
  /** How far the present primary has come. */
  readonly presentLsn: string
  /** Whether the session was opened by the application; otherwise it is the process's. */
  readonly explicit: boolean
}

/** The events of a cluster. */
export interface ClusterEvents {
  /** A node failed, came back or turned out to be configured wrongly. */
  node: [event: NodeEvent]
  /** Another node became the primary, or none is to be found. */
  primary: [event: PrimaryEvent]
  /** A node became primary or replica. */
  role: [event: RoleEvent]
  /** A replica is too far behind for `max_lag_ms`, or no longer. */
  lag: [event: LagEvent]
  /** Another configuration is in place. */
  reload: [event: ReloadEvent]
  /** A read may have missed a write of this process. */
  stale: [event: StaleEvent]
  /** A commit is on one server only, although it was to be on more. */
  durability: [event: DurabilityEvent]
  /** A token was not honoured. */
  token: [event: TokenEvent]
  /** A failover has lost what a session had written or seen; sent once per session. */
  history: [event: HistoryEvent]
  /** A statement was answered. Costs nothing while nobody listens. */
  query: [event: QueryEvent]
}

/**
 * The names under which the same events are published through `node:diagnostics_channel`.
 *
 * @example
 * ```ts
 * subscribe(CHANNELS.query, (event) => histogram.record((event as QueryEvent).durationMs))
 * ```
 */
export const CHANNELS = {
  /** Messages are `NodeEvent`s. */
  node: 'segregato:node',
  /** Messages are `PrimaryEvent`s. */
  primary: 'segregato:primary',
  /** Messages are `RoleEvent`s. */
  role: 'segregato:role',
  /** Messages are `LagEvent`s. */
  lag: 'segregato:lag',
  /** Messages are `ReloadEvent`s. */
  reload: 'segregato:reload',
  /** Messages are `QueryEvent`s. */
  query: 'segregato:query',
  /** Messages are `StaleEvent`s. */
  stale: 'segregato:stale',
  /** Messages are `DurabilityEvent`s. */
  durability: 'segregato:durability',
  /** Messages are `TokenEvent`s. */
  token: 'segregato:token',
  /** Messages are `HistoryEvent`s. */
  history: 'segregato:history',
} as const

const channels = {
  node: channel(CHANNELS.node),
  primary: channel(CHANNELS.primary),
  role: channel(CHANNELS.role),
  lag: channel(CHANNELS.lag),
  reload: channel(CHANNELS.reload),
  query: channel(CHANNELS.query),
  stale: channel(CHANNELS.stale),
  durability: channel(CHANNELS.durability),
  token: channel(CHANNELS.token),
  history: channel(CHANNELS.history),
}

/** An `EventEmitter` of the cluster's events; an error of a listener cannot break routing. */
export type EventSource = EventEmitter<ClusterEvents>

/** Whether anybody would hear an event of this name. */
export const isObserved = (events: EventSource, name: keyof ClusterEvents): boolean =>
  events.listenerCount(name) > 0 || channels[name].hasSubscribers

/** Sends an event to listeners and subscribers. A listener's error is thrown outside the call that caused the event. */
export const publish = <Name extends keyof ClusterEvents>(
  events: EventSource,
  name: Name,
  ...args: ClusterEvents[Name]
): void => {
  channels[name].publish(args[0])
  for (const listener of events.rawListeners(name)) {
    try {
      ;(listener as (...values: unknown[]) => void)(...args)
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }
}
