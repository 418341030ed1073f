import type { NodeConfig } from '../config/types.ts'
import type { ConnectionCounts, Connections } from '../nodes/connections.ts'
import type { Node } from '../nodes/node.ts'
import type { Core } from './core.ts'
import type { NodeState } from './events.ts'
import { stateOf } from './watch.ts'

/** What this process knows of one node; nothing is asked of the server. */
export interface NodeStatus {
  /** The node's key in the configuration, such as `replica1`. */
  readonly node: string
  /** What the node is now; the configuration may say otherwise after a failover. */
  readonly role: 'primary' | 'replica'
  /** A host name or address, or the directory of a Unix socket. */
  readonly host: string
  /** The server's port. */
  readonly port: number
  /** The node's tags, for `using()`. */
  readonly tags: readonly string[]
  /** How the connection is protected: not at all, encrypted only, or with the server's certificate checked. */
  readonly tls: 'off' | 'require' | 'verify-ca' | 'verify-full'
  /**
   * `quarantined`: left alone after failures; `misconfigured`: it refuses our credentials or TLS;
   * `wrong-server`: it belongs to another cluster or is no replica, and serves nothing until that is mended.
   */
  readonly state: NodeState
  /** Milliseconds for which the node is left alone at least; 0 when healthy. */
  readonly quarantineMs: number
  /** How often in succession the node has been left alone; 0 when healthy. */
  readonly failures: number
  /** How far the node was behind when it was asked last, in bytes of the primary's log; `undefined`: not known. */
  readonly lagBytes: number | undefined
  /** The same in milliseconds, at most. */
  readonly lagMs: number | undefined
  /** The timeline that it writes or follows. */
  readonly timeline: number | undefined
  /** Whether the replay of a replica is paused. */
  readonly replayPaused: boolean | undefined
  /** Whether a replica has a connection to the server that it follows. */
  readonly receiving: boolean | undefined
  /** The server's version, such as `'18.4'`. */
  readonly version: string | undefined
  /** How long ago the node last said what is told here of it, in milliseconds; `undefined`: it has not yet. */
  readonly observedAgoMs: number | undefined
  /** Connections for reading. */
  readonly read: ConnectionCounts
  /** Connections for writing; on the primary only. */
  readonly write: ConnectionCounts | undefined
}

/** What could not be as sessions want it. */
export interface SessionCounts {
  /** Reads of the process's session that may have missed one of its writes. */
  readonly staleReads: number
  /** Tokens that `session()` did not honour. */
  readonly refusedTokens: number
  /** Sessions whose writes or reads a failover has lost. */
  readonly lostHistories: number
}

/** What this process knows of the cluster. */
export interface ClusterStatus {
  /** Whether the cluster takes new work. */
  readonly state: 'open' | 'closing' | 'closed'
  /** The environment of the file; `undefined` for a configuration in code. */
  readonly environment: string | undefined
  /** Whether writes have somewhere to go, as far as is known. */
  readonly writes: 'available' | 'no-primary' | 'split-brain'
  /** The share of reads that replicas serve, 0 to 1. */
  readonly replicaShare: number
  /** What has happened to reads, since the cluster was opened. */
  readonly counts: SessionCounts
  /** Every node, in the order of the configuration. */
  readonly nodes: readonly NodeStatus[]
}

/** The present status. */
export const statusOf = (core: Core): ClusterStatus => ({
  state: core.state,
  environment: core.config.environment,
  writes: core.failover.writes,
  replicaShare: core.router.share,
  counts: { ...core.counts },
  nodes: core.nodes.map((node) => nodeStatus(core, node)),
})

const nodeStatus = (core: Core, node: Node): NodeStatus => {
  const { host, port } = node.config
  const { cause, failures, notBefore } = node.health
  const now = performance.now()
  const lag = core.freshness.lag(node)
  const { observed } = node
  return {
    node: node.name,
    role: node.role,
    host,
    port,
    tags: node.tags,
    tls: tlsOf(node.config.ssl),
    state: stateOf(node),
    quarantineMs: cause === 'none' ? 0 : Math.max(0, Math.round(notBefore - now)),
    failures: cause === 'none' ? 0 : failures,
    lagBytes: lag?.bytes,
    lagMs: lag?.ms === undefined ? undefined : Math.round(lag.ms),
    timeline: observed?.timeline,
    replayPaused: observed?.replayPaused,
    receiving: observed?.receiving,
    version: observed?.version,
    observedAgoMs: observed === undefined ? undefined : Math.round(now - observed.at),
    read: countsOf(node.read),
    write: node.role === 'primary' ? countsOf(node.write) : undefined,
  }
}

const tlsOf = (ssl: NodeConfig['ssl']): NodeStatus['tls'] => {
  if (ssl === false) return 'off'
  if (!ssl.rejectUnauthorized) return 'require'
  return ssl.verifyHost ? 'verify-full' : 'verify-ca'
}

const countsOf = ({ counts }: Connections): ConnectionCounts => counts
