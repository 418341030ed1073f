import type { SecretSource } from './secret.ts'
import type {
  BalancerFunction,
  Balancing,
  Consistency,
  OnHistoryLost,
  OutsideSession,
  Probe,
} from './types.ts'

/** How a node's connections are secured, when one word does not say enough. */
export interface SslInput {
  /** What is checked: nothing, the certificate's chain, or the host name too. @defaultValue `'verify-full'` */
  readonly mode?: 'require' | 'verify-ca' | 'verify-full' | undefined
  /** The certificate authority: the path of a PEM file, or its text. */
  readonly ca?: string | undefined
  /** The client's certificate: the path of a PEM file, or its text. */
  readonly cert?: string | undefined
  /** The client's key without a passphrase: the path of a PEM file, or its text. */
  readonly key?: string | undefined
}

/** One server, as an object in code gives it. What is left out is taken from libpq's variables and defaults. */
export interface NodeInput {
  /** The three mean the same. @defaultValue `'postgresql'` */
  readonly adapter?: 'postgresql' | 'postgres' | 'pg' | undefined
  /** `postgres://user:password@host:port/database?sslmode=…`; other keys fill what it leaves out. */
  readonly url?: string | undefined
  /** A host name or address, or the directory of a Unix socket. @defaultValue `PGHOST`, else `'localhost'` */
  readonly host?: string | undefined
  /** The server's port. @defaultValue `PGPORT`, else `5432` */
  readonly port?: number | undefined
  /** The directory of a Unix socket, in place of `host`. */
  readonly socket?: string | undefined
  /** The database. @defaultValue `PGDATABASE`, else the user name */
  readonly database?: string | undefined
  /** The user. @defaultValue `PGUSER`, else the operating system's user */
  readonly username?: string | undefined
  /** Text, or a function that is asked at each new connection. @defaultValue `PGPASSWORD`, else `PGPASSFILE` or `~/.pgpass` */
  readonly password?: SecretSource
  /** A file that holds the password and that nobody else can read; read at each new connection. */
  readonly passwordFile?: string | undefined
  /** The most connections of this process to this server, for one purpose. @defaultValue `5` */
  readonly pool?: number | undefined
  /** How many calls may wait for one of these connections at once; more reject with `PoolExhaustedError`. @defaultValue `10_000` */
  readonly queue?: number | undefined
  /** `true` is `'verify-full'`. @defaultValue `PGSSLMODE`, else off for sockets and loopback; elsewhere it must be said */
  readonly ssl?:
    boolean | 'disable' | 'require' | 'verify-ca' | 'verify-full' | SslInput | undefined
  /** The name that `pg_stat_activity` shows. @defaultValue `PGAPPNAME`, else `'segregato'` */
  readonly applicationName?: string | undefined
  /** How long opening a connection may take, in milliseconds. @defaultValue `5_000` */
  readonly connectTimeoutMs?: number | undefined
  /** After how long an idle connection is closed, in milliseconds; 0: never. @defaultValue `10_000` */
  readonly idleTimeoutMs?: number | undefined
  /** After how long a connection is replaced at the latest, in milliseconds; 0: never. @defaultValue `300_000` */
  readonly maxLifetimeMs?: number | undefined
  /** After how long the server ends a statement, in milliseconds. @defaultValue the server's own setting */
  readonly statementTimeoutMs?: number | undefined
  /** Whether models may use named prepared statements. @defaultValue `true`, with `pgbouncer` `false` */
  readonly preparedStatements?: boolean | undefined
  /** Whether a pooler stands in front that refuses start-up parameters. @defaultValue `false` */
  readonly pgbouncer?: boolean | undefined
  /** The share of reads of this replica beside the others, for `weighted` balancing. @defaultValue `1` */
  readonly weight?: number | undefined
  /** Names under which `using()` finds this node together with others. @defaultValue `[]` */
  readonly tags?: readonly string[] | undefined
  /** Run-time parameters of each connection, such as `search_path`. @defaultValue `{}` */
  readonly variables?: Readonly<Record<string, string | number | boolean>> | undefined
}

/** How the cluster behaves, as an object in code gives it. */
export interface SettingsInput {
  /** How the next replica is chosen. @defaultValue `'round_robin'` */
  readonly balancing?: Balancing | BalancerFunction | undefined
  /** Whether several nodes may be one server; then no replica is needed. @defaultValue `false` */
  readonly allowSameServer?: boolean | undefined
  /** The share of reads that replicas serve, 0 to 1. @defaultValue `1` */
  readonly replicaShare?: number | undefined
  /** How far behind a replica may be and still serve reads, in milliseconds. @defaultValue not limited */
  readonly maxLagMs?: number | undefined
  /** What a read sees. @defaultValue `'session'` */
  readonly consistency?: Consistency | undefined
  /** What reads outside `session()` see. @defaultValue `'process'` */
  readonly outsideSession?: OutsideSession | undefined
  /** How long a read waits for a replica to catch up with a write, in milliseconds. @defaultValue `200` */
  readonly waitTimeoutMs?: number | undefined
  /** How long reads go to the primary after a write whose position is not known, in milliseconds. @defaultValue `5_000` */
  readonly stickyMs?: number | undefined
  /** The share of the primary's connections that reads of replicas that are behind may use at once; at least one. @defaultValue `0.25` */
  readonly fallbackShare?: number | undefined
  /**
   * When nodes are asked how they are: each second, or beside statements only, which short-lived
   * processes want. @defaultValue `'interval'`
   */
  readonly probe?: Probe | undefined
  /** The time for a call of a read model, in milliseconds; 0: not limited. @defaultValue `5_000` */
  readonly readTimeoutMs?: number | undefined
  /** The time for a call of a write model, in milliseconds; 0: not limited. @defaultValue `15_000` */
  readonly writeTimeoutMs?: number | undefined
  /** How old a session's token may be, in milliseconds; an older one is not honoured. @defaultValue `604_800_000`, a week */
  readonly tokenMaxAgeMs?: number | undefined
  /** What becomes of a session or a token whose position a failover has lost. @defaultValue `'error'` */
  readonly onHistoryLost?: OnHistoryLost | undefined
}

/**
 * A configuration in code, in place of a file: one environment, camelCase. Every key other than
 * `master` (or `primary`) and `settings` is a replica; a text is a node's URL.
 *
 * @example
 * ```ts
 * connect({
 *   config: {
 *     master: { host: 'db1.internal', ssl: true, password: async () => vault.read('db') },
 *     replica1: 'postgres://app@db2.internal/blog?sslmode=verify-full',
 *     settings: { balancing: 'least_busy' },
 *   },
 * })
 * ```
 */
export interface ClusterConfigInput {
  /** The server that accepts writes. */
  readonly master?: NodeInput | string | undefined
  /** A synonym of `master`; both at once is an error. */
  readonly primary?: NodeInput | string | undefined
  /** How the cluster behaves. */
  readonly settings?: SettingsInput | undefined
  /** Every other key is a replica. */
  readonly [replica: string]: NodeInput | string | SettingsInput | undefined
}

/** What `connect()` reads its configuration from. */
export interface LoadOptions {
  /** The environment of the file. @defaultValue `DB_ENV`, else `NODE_ENV` if the file has it, else `'development'` */
  readonly env?: string | undefined
  /** The path of a file, or the configuration itself. @defaultValue `DB_CONFIG`, else `'database.yml'` */
  readonly config?: string | ClusterConfigInput | undefined
}
