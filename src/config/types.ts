import type { Secret } from './secret.ts'

/** How one server is reached. Validated, complete and frozen. */
export interface NodeConfig {
  /** The node's key in the configuration, such as `master` or `replica1`. */
  readonly name: string
  readonly role: 'primary' | 'replica'
  /** A host name or address, or the directory of a Unix socket (starts with `/`). */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly username: string
  /** Asked at each new connection; `undefined` when none is configured. */
  readonly password: Secret
  /** The most connections that this process holds to the server at once, for one purpose (reading or writing). */
  readonly pool: number
  /** How many calls may wait for one of these connections at once. */
  readonly queue: number
  readonly ssl: false | SslConfig
  readonly applicationName: string
  readonly connectTimeoutMs: number
  readonly idleTimeoutMs: number
  /** 0: connections have no maximum age. */
  readonly maxLifetimeMs: number
  /** `undefined`: the server's own setting. */
  readonly statementTimeoutMs: number | undefined
  /** Whether models may send named prepared statements. */
  readonly preparedStatements: boolean
  /** A pooler that refuses start-up parameters stands in front: reads run in `BEGIN READ ONLY`. */
  readonly pgbouncer: boolean
  readonly weight: number
  readonly tags: readonly string[]
  /** Run-time parameters set when a connection starts, such as `search_path`. */
  readonly variables: Readonly<Record<string, string>>
}

/** The TLS options handed to `pg`. */
export interface SslConfig {
  readonly rejectUnauthorized: boolean
  /** `false`: the certificate chain is checked, the host name is not (`verify-ca`). */
  readonly verifyHost: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: Secret
}

/** The ways to choose the next replica that are built in. */
export const BALANCINGS = ['round_robin', 'weighted', 'least_busy'] as const
/**
 * How the next replica is chosen: in turn; in turn by `weight`; or the one of two random ones that
 * serves fewer statements of this process.
 */
export type Balancing = (typeof BALANCINGS)[number]

/** What a balancer of your own sees of one node that may serve the read. */
export interface CandidateView {
  /** The node's key in the configuration. */
  readonly name: string
  /** The node's `weight`. */
  readonly weight: number
  /** The node's `tags`. */
  readonly tags: readonly string[]
  /** Statements of this process that are running on the node now. */
  readonly inFlight: number
}

/** Chooses one of the candidates for the next read. Called once a statement, with at least one candidate. */
export type BalancerFunction = (candidates: readonly CandidateView[]) => CandidateView

/** What a read may see; see `docs/consistency.md`. */
export const CONSISTENCIES = ['eventual', 'session', 'strong'] as const
export type Consistency = (typeof CONSISTENCIES)[number]

/** What reads outside `session()` see. */
export const OUTSIDE_SESSION = ['process', 'eventual', 'primary'] as const
export type OutsideSession = (typeof OUTSIDE_SESSION)[number]

/** When nodes are asked how they are: on a timer, or beside statements only. */
export const PROBES = ['interval', 'on_use'] as const
export type Probe = (typeof PROBES)[number]

/** What becomes of a session whose writes a failover has lost. */
export const ON_HISTORY_LOST = ['error', 'primary'] as const
export type OnHistoryLost = (typeof ON_HISTORY_LOST)[number]

/** How the cluster behaves. */
export interface ClusterSettings {
  /** How the next replica is chosen. */
  readonly balancing: Balancing | BalancerFunction
  /** Whether several nodes may be one and the same server. */
  readonly allowSameServer: boolean
  /** The share of reads that replicas serve, 0 to 1; the primary serves the rest. */
  readonly replicaShare: number
  /** How far behind a replica may be and still serve reads, in milliseconds; `undefined`: not limited. */
  readonly maxLagMs: number | undefined
  /** What a read sees unless the call or the session says otherwise. */
  readonly consistency: Consistency
  /** What reads outside `session()` see. */
  readonly outsideSession: OutsideSession
  /** How long a read waits for a replica to catch up with a write, in milliseconds. */
  readonly waitTimeoutMs: number
  /** How long reads go to the primary after a write whose position is not known, in milliseconds. */
  readonly stickyMs: number
  /** The share of the primary's connections that reads of replicas that are behind may use at once. */
  readonly fallbackShare: number
  /** When nodes are asked how they are. */
  readonly probe: Probe
  /** The time for a call of a read model, in milliseconds; 0: not limited. */
  readonly readTimeoutMs: number
  /** The time for a call of a write model, in milliseconds; 0: not limited. */
  readonly writeTimeoutMs: number
  /** How old a session's token may be, in milliseconds; an older one is not honoured. */
  readonly tokenMaxAgeMs: number
  /** What becomes of a session, or a token, whose position a failover has lost. */
  readonly onHistoryLost: OnHistoryLost
}

/** A whole configuration of one environment. */
export interface ClusterConfig {
  /** The environment that was chosen; `undefined` for an object without environments. */
  readonly environment: string | undefined
  /** The file that was read; `undefined` for an object. */
  readonly file: string | undefined
  readonly primary: NodeConfig
  /** Empty only with `allowSameServer`. */
  readonly replicas: readonly NodeConfig[]
  readonly settings: ClusterSettings
  /** Keys that were read and mean nothing here, in one sentence each. */
  readonly notices: readonly string[]
}
