import type { ClusterSettings, NodeConfig } from './types.ts'

/** What a node's keys are when neither the configuration nor libpq's variables say anything. */
export const NODE_DEFAULTS = Object.freeze({
  host: 'localhost',
  port: 5432,
  pool: 5,
  queue: 10_000,
  applicationName: 'segregato',
  connectTimeoutMs: 5_000,
  idleTimeoutMs: 10_000,
  maxLifetimeMs: 300_000,
  statementTimeoutMs: undefined,
  preparedStatements: true,
  pgbouncer: false,
  weight: 1,
  tags: Object.freeze([]),
  variables: Object.freeze({}),
}) satisfies Partial<NodeConfig>

/** What `settings` is when a key is absent. */
export const SETTING_DEFAULTS = Object.freeze({
  balancing: 'round_robin',
  allowSameServer: false,
  replicaShare: 1,
  maxLagMs: undefined,
  consistency: 'session',
  outsideSession: 'process',
  waitTimeoutMs: 200,
  stickyMs: 5_000,
  fallbackShare: 0.25,
  probe: 'interval',
  readTimeoutMs: 5_000,
  writeTimeoutMs: 15_000,
  tokenMaxAgeMs: 604_800_000,
  onHistoryLost: 'error',
}) satisfies ClusterSettings

/** What `segregato/web` does unless its options say otherwise. */
export const WEB_DEFAULTS = Object.freeze({
  cookie: Object.freeze({
    name: 'segregato',
    path: '/',
    /** Longer than a replica should ever be behind. */
    maxAgeMs: 600_000,
    sameSite: 'lax',
    secure: 'auto',
  }),
  /** How long a response that has written is held back for its token. */
  tokenTimeoutMs: 1_000,
  /** Shorter than the second after which Kubernetes gives a probe up. */
  readyTimeoutMs: 750,
  /** How long one answer to `/ready` serves all who ask. */
  readyMaxAgeMs: 1_000,
})

/** The file and the environment that are used when nobody names one. */
export const DEFAULT_FILE = 'database.yml'
export const DEFAULT_ENVIRONMENT = 'development'
export const DOTENV_FILE = '.env'

/** What input may cost. Checked before or while it is read, so that no file can use up memory or time. */
export const INPUT_LIMITS = Object.freeze({
  /** Bytes of a configuration file and of `.env`. */
  configurationBytes: 256 * 1024,
  /** Bytes of a certificate, a chain or a key. */
  certificateBytes: 1024 * 1024,
  /** Bytes of a password file. */
  passwordBytes: 4 * 1024,
  /** Bytes of `.pgpass`. */
  passfileBytes: 256 * 1024,
  /** Levels of maps and lists. */
  depth: 32,
  /** Values of a file once its aliases are written out. */
  values: 20_000,
})

/** Limits of a running cluster that are not configurable, each with its reason. */
export const RUNTIME_LIMITS = Object.freeze({
  /** A first failure is often a restart that is over soon; one that follows soon is more than that. */
  quarantine: Object.freeze({ firstMs: 500, longestMs: 30_000, stableMs: 60_000 }),
  /** A search for the primary asks all nodes at once, again and again. A new primary of a good network answers in far less. */
  discovery: Object.freeze({
    askMs: 300,
    askSilentMs: 1_000,
    silentMs: 50,
    firstPauseMs: 20,
    longestPauseMs: 100,
  }),
  /** A server that is alive answers a probe within milliseconds, whatever it is busy with. */
  monitor: Object.freeze({
    intervalMs: 1_000,
    answerMs: 500,
    startingFirstMs: 50,
    startingLongestMs: 500,
    frozenMs: 10_000,
  }),
  /** How long statements of nodes that have left the configuration may go on. */
  drainTimeoutMs: 10_000,
  /** How long a statement waits behind a BEGIN that another client of its transaction has open. */
  scopeBusyMs: 5_000,
  /** How long `close()` lets running work go on. */
  closeTimeoutMs: 10_000,
  /**
   * When a node that gives no answer is taken for dead. A slow statement is not a dead node: it counts only
   * when a question that needs no work is not answered either.
   */
  unresponsive: Object.freeze({
    /** An attempt without an answer for so long makes us ask. */
    askAfterMs: 500,
    /** A server that is alive answers in this time, whatever it is busy with. */
    answerWithinMs: 500,
    /** What is not a read that another node can serve is given up only when the node stays mute for so long. */
    giveUpAfterMs: 5_000,
  }),
  /** How long nobody opens another connection to a server that has no room for it. */
  coolDownMs: 1_000,
  /** Retries of reads: this share of all reads, or so many a second if that is more. */
  retries: Object.freeze({ share: 0.1, perSecond: 10 }),
  /** Attempts at a transaction with `retry: true`, and the pauses between them. */
  transactionRetries: Object.freeze({ attempts: 5, firstMs: 10, longestMs: 500 }),
})
