import { NODE_DEFAULTS, SETTING_DEFAULTS } from './defaults.ts'
import type { KeyDefinition, KeyDefinitions } from './kinds.ts'
import { BALANCINGS, CONSISTENCIES, ON_HISTORY_LOST, OUTSIDE_SESSION, PROBES } from './types.ts'

/**
 * The one definition of every key. Validation, the two spellings, suggestions for unknown keys and
 * the JSON Schema come from it.
 */

/** The longest time that a timer of Node.js can measure, about 24 days. */
const LONGEST_MS = 2_147_483_647

const ADAPTERS = ['postgresql', 'postgres', 'pg'] as const

/** The keys of a node, as files spell them. */
export const NODE_KEYS = {
  adapter: {
    kind: { type: 'choice', choices: ADAPTERS },
    description: 'The kind of database; PostgreSQL only.',
    default: 'postgresql',
  },
  url: {
    kind: { type: 'secret' },
    description:
      'postgres://user:password@host:port/database?sslmode=…; other keys fill what it leaves out.',
  },
  host: {
    kind: { type: 'text' },
    description:
      'A host name or address, or the directory of a Unix socket. Default: PGHOST, else localhost.',
  },
  port: {
    kind: { type: 'integer', min: 1, max: 65_535 },
    description: 'Default: PGPORT, else 5432.',
  },
  socket: {
    kind: { type: 'text' },
    description: 'The directory of a Unix socket, such as /var/run/postgresql, in place of host.',
  },
  database: {
    kind: { type: 'text' },
    description: 'Default: PGDATABASE, else the user name.',
  },
  username: {
    kind: { type: 'text' },
    description: "Default: PGUSER, else the operating system's user.",
  },
  password: {
    kind: { type: 'secret', function: true },
    description: 'Default: PGPASSWORD, else the line of PGPASSFILE or ~/.pgpass that fits.',
  },
  password_file: {
    kind: { type: 'secret' },
    description:
      'A file that holds the password and nobody else can read; read at each new connection.',
  },
  pool: {
    kind: { type: 'integer', min: 1, max: 10_000 },
    description: 'The most connections of one process to this server, for one purpose.',
    default: NODE_DEFAULTS.pool,
  },
  queue: {
    kind: { type: 'integer', min: 0, max: 1_000_000 },
    description: 'How many calls may wait for one of these connections at once.',
    default: NODE_DEFAULTS.queue,
  },
  ssl: {
    kind: { type: 'ssl' },
    description:
      'true or verify-full, verify-ca, require, false, or { ca, cert, key, mode } with each a path or the text. Default: PGSSLMODE, else off for sockets and loopback; elsewhere it must be said.',
  },
  application_name: {
    kind: { type: 'text' },
    description: 'What the server calls our connections. Default: PGAPPNAME, else segregato.',
    default: NODE_DEFAULTS.applicationName,
  },
  connect_timeout_ms: {
    kind: { type: 'integer', min: 1, max: LONGEST_MS },
    description: 'How long opening a connection may take, in milliseconds.',
    default: NODE_DEFAULTS.connectTimeoutMs,
  },
  idle_timeout_ms: {
    kind: { type: 'integer', min: 0, max: LONGEST_MS },
    description: 'After how long an idle connection is closed, in milliseconds; 0: never.',
    default: NODE_DEFAULTS.idleTimeoutMs,
  },
  max_lifetime_ms: {
    kind: { type: 'integer', min: 0, max: LONGEST_MS },
    description:
      'After how long a connection is replaced at the latest, in milliseconds; 0: never.',
    default: NODE_DEFAULTS.maxLifetimeMs,
  },
  statement_timeout_ms: {
    kind: { type: 'integer', min: 1, max: LONGEST_MS },
    description:
      "After how long the server ends a statement, in milliseconds. Default: the server's own setting.",
  },
  prepared_statements: {
    kind: { type: 'boolean' },
    description: 'Whether models may use named prepared statements. Default: not with pgbouncer.',
    default: NODE_DEFAULTS.preparedStatements,
  },
  pgbouncer: {
    kind: { type: 'boolean' },
    description: 'Whether a pooler stands in front that refuses start-up parameters.',
    default: NODE_DEFAULTS.pgbouncer,
  },
  weight: {
    kind: { type: 'number', above: 0, max: 1_000 },
    description: 'The share of reads of this replica beside the others, for weighted balancing.',
    default: NODE_DEFAULTS.weight,
  },
  tags: {
    kind: { type: 'texts' },
    description: 'Names under which using() finds this node together with others.',
    default: NODE_DEFAULTS.tags,
  },
  variables: {
    kind: { type: 'parameters' },
    description: 'Run-time parameters of each connection, such as search_path.',
    default: NODE_DEFAULTS.variables,
  },
} as const satisfies KeyDefinitions

/** The keys of `settings`. */
export const SETTING_KEYS = {
  balancing: {
    kind: { type: 'choice', choices: BALANCINGS, function: true },
    description: 'How the next replica is chosen.',
    default: SETTING_DEFAULTS.balancing,
  },
  allow_same_server: {
    kind: { type: 'boolean' },
    description:
      'Whether several nodes may be one server; then no replica is needed. For local development.',
    default: SETTING_DEFAULTS.allowSameServer,
  },
  replica_share: {
    kind: { type: 'number', min: 0, max: 1 },
    description: 'The share of reads that replicas serve, 0 to 1; the primary serves the rest.',
    default: SETTING_DEFAULTS.replicaShare,
  },
  max_lag_ms: {
    kind: { type: 'integer', min: 0, max: LONGEST_MS },
    description:
      'How far behind a replica may be and still serve reads, in milliseconds. Default: not limited.',
  },
  consistency: {
    kind: { type: 'choice', choices: CONSISTENCIES },
    description:
      'What a read sees: `session` its own writes, `eventual` any replica’s state, `strong` the primary’s.',
    default: SETTING_DEFAULTS.consistency,
  },
  outside_session: {
    kind: { type: 'choice', choices: OUTSIDE_SESSION },
    description:
      'What reads outside `session()` see: `process` all writes of this process, `eventual` any replica’s state, `primary` the primary’s.',
    default: SETTING_DEFAULTS.outsideSession,
  },
  wait_timeout_ms: {
    kind: { type: 'integer', min: 0, max: LONGEST_MS },
    description: 'How long a read waits for a replica to catch up with a write, in milliseconds.',
    default: SETTING_DEFAULTS.waitTimeoutMs,
  },
  sticky_ms: {
    kind: { type: 'integer', min: 0, max: LONGEST_MS },
    description:
      'How long reads go to the primary after a write whose position the server does not tell, in milliseconds.',
    default: SETTING_DEFAULTS.stickyMs,
  },
  fallback_share: {
    kind: { type: 'number', min: 0, max: 1 },
    description:
      'The share of the primary’s connections that reads of replicas that are behind may use at once; at least one.',
    default: SETTING_DEFAULTS.fallbackShare,
  },
  probe: {
    kind: { type: 'choice', choices: PROBES },
    description:
      'When nodes are asked how they are: `interval` each second, `on_use` beside statements only, for short-lived processes.',
    default: SETTING_DEFAULTS.probe,
  },
  read_timeout_ms: {
    kind: { type: 'integer', min: 0, max: LONGEST_MS },
    description:
      'The time for a call of a read model, in milliseconds; 0: not limited. Pools, streams and scopes have none.',
    default: SETTING_DEFAULTS.readTimeoutMs,
  },
  write_timeout_ms: {
    kind: { type: 'integer', min: 0, max: LONGEST_MS },
    description:
      'The time for a call of a write model, in milliseconds; 0: not limited. Pools and scopes have none.',
    default: SETTING_DEFAULTS.writeTimeoutMs,
  },
  token_max_age_ms: {
    kind: { type: 'integer', min: 0, max: LONGEST_MS },
    description: 'How old a session’s token may be, in milliseconds; an older one is not honoured.',
    default: SETTING_DEFAULTS.tokenMaxAgeMs,
  },
  on_history_lost: {
    kind: { type: 'choice', choices: ON_HISTORY_LOST },
    description:
      'What becomes of a session or a token whose position a failover has lost: `error` HistoryLostError, `primary` what the present primary has.',
    default: SETTING_DEFAULTS.onHistoryLost,
  },
} as const satisfies KeyDefinitions

const seconds = { type: 'number', min: 0, max: Math.floor(LONGEST_MS / 1_000) } as const

/** Keys of a Rails file that mean the same as one of ours. Understood in files only. */
export const RAILS_KEYS = {
  encoding: { kind: { type: 'text' }, description: 'UTF-8 only.' },
  sslmode: { kind: { type: 'text' }, description: 'The mode of ssl in libpq’s words.' },
  sslrootcert: { kind: { type: 'secret' }, description: 'The ca of ssl.' },
  sslcert: { kind: { type: 'secret' }, description: 'The cert of ssl.' },
  sslkey: { kind: { type: 'secret' }, description: 'The key of ssl.' },
  connect_timeout: { kind: seconds, description: 'connect_timeout_ms in seconds.' },
  idle_timeout: { kind: seconds, description: 'idle_timeout_ms in seconds.' },
  schema_search_path: { kind: { type: 'text' }, description: 'variables.search_path.' },
  replica: { kind: { type: 'boolean' }, description: 'Whether the node is a replica.' },
} as const satisfies KeyDefinitions

/** Keys of a Rails file that mean nothing here. They are ignored, and one notice says so. */
export const IGNORED_KEYS: ReadonlySet<string> = new Set([
  'advisory_locks',
  'checkout_timeout',
  'collation',
  'ctype',
  'database_tasks',
  'insert_returning',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'migrations_paths',
  'min_connections',
  'min_messages',
  'query_cache',
  'reaping_frequency',
  'schema_cache_path',
  'schema_dump',
  'seeds',
  'statement_limit',
  'strict',
  'template',
  'use_metadata_table',
])

/** What people write who come from `pg` or libpq, and what it is called here. */
export const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['user', 'username'],
  ['hostname', 'host'],
  ['dbname', 'database'],
  ['connection_string', 'url'],
  ['max', 'pool'],
  ['max_connections', 'pool'],
  ['connection_timeout_millis', 'connect_timeout_ms'],
  ['idle_timeout_millis', 'idle_timeout_ms'],
  ['idle_timeout', 'idle_timeout_ms'],
  ['connect_timeout', 'connect_timeout_ms'],
  ['statement_timeout', 'statement_timeout_ms'],
  ['max_lifetime_seconds', 'max_lifetime_ms'],
  ['passwordfile', 'password_file'],
  ['sslmode', 'ssl'],
  ['schema_search_path', 'variables'],
])

/** Whether a key's value must never be shown. */
export const isSecret = ({ kind }: KeyDefinition): boolean =>
  kind.type === 'secret' || kind.type === 'ssl' || kind.type === 'parameters'
