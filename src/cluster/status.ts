import type { NodeConfig } from '../config/types.ts'
import type { ConnectionCounts, Connections } from '../nodes/connections.ts'
import type { Node } from '../nodes/node.ts'
import type { Core } from './core.ts'

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
  /** `quarantined`: left alone for a while after failures; `misconfigured`: it refuses our credentials or TLS. */
  readonly state: 'healthy' | 'quarantined' | 'misconfigured'
  /** Milliseconds until the node is tried again; 0 when healthy. */
  readonly quarantineMs: number
  /** Failures since the last success. */
  readonly failures: number
  /** The most that the node can be behind the primary, in milliseconds, when that is known. */
  readonly lagMs: number | undefined
  /** Connections for reading. */
  readonly read: ConnectionCounts
  /** Connections for writing; on the primary only. */
  readonly write: ConnectionCounts | undefined
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
  /** Every node, in the order of the configuration. */
  readonly nodes: readonly NodeStatus[]
}

/** The present status. */
export const statusOf = (core: Core): ClusterStatus => ({
  state: core.state,
  environment: core.config.environment,
  writes: core.failover.writes,
  replicaShare: core.router.share,
  nodes: core.nodes.map((node) => nodeStatus(core, node)),
})

const nodeStatus = (core: Core, node: Node): NodeStatus => {
  const { host, port } = node.config
  const { cause, failures, until } = node.health
  const quarantineMs = Math.max(0, Math.round(until - performance.now()))
  return {
    node: node.name,
    role: node.role,
    host,
    port,
    tags: node.tags,
    tls: tlsOf(node.config.ssl),
    state: cause === 'misconfigured' ? cause : quarantineMs > 0 ? 'quarantined' : 'healthy',
    quarantineMs,
    failures,
    lagMs: core.freshness.lagMs(node),
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
