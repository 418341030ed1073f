/**
 * Every error that the library itself raises. One root, one stable `code` a class, the facts as
 * properties, the remedy in the sentence. PostgreSQL's own errors pass through the pools as `pg`
 * gives them; models translate the ones that a caller wants to tell apart.
 *
 * `@outcome` (what happened to the statement), `@repeat` (whether it is safe) and `@remedy` make
 * docs/errors.md: `npm run docs:errors`.
 */

import { inspect } from 'node:util'
// The names of exports are the only ones that minifiers keep, and only an import tells them.
// oxlint-disable-next-line import/no-self-import, import/no-cycle
import * as classes from './errors.ts'

const BRAND = Symbol.for('segregato.error')

/** The root of all errors of this library. */
export abstract class SegregatoError extends Error {
  /** A stable identifier, for `switch` and for logs. */
  abstract readonly code: `SEGREGATO_${string}`

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    Object.defineProperty(this, BRAND, { value: true })
    // `cause` may be an error of `pg`, whose `detail` holds row data: reachable, but not in JSON or logs by default.
    if ('cause' in this) Object.defineProperty(this, 'cause', { enumerable: false })
  }

  /** The name of the class, such as `'ConfigError'`; also in code that was minified. */
  override get name(): string {
    return exportedName(this.constructor) ?? this.constructor.name
  }

  /** True for errors of this library, also for those of another installed copy of it. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this === SegregatoError)
      return typeof value === 'object' && value !== null && BRAND in value
    return Function.prototype[Symbol.hasInstance].call(this, value)
  }
}

const exportedName = (wanted: unknown): string | undefined =>
  Object.entries(classes).find(([, value]) => value === wanted)?.[0]

/** One mistake in the configuration. */
export interface ConfigIssue {
  /** What is wrong and what was expected; never the value of a secret. */
  readonly message: string
  /** Where in the configuration, such as `production.replica1.port`. */
  readonly path?: string
  /** The file that was read; absent when the configuration came as an object. */
  readonly file?: string
  /** Counted from 1. */
  readonly line?: number
  /** Counted from 1. */
  readonly column?: number
}

/**
 * The configuration cannot be used. All mistakes are listed at once.
 *
 * @outcome Nothing was sent: the library does not start with it, or every replica refuses its
 *   connections.
 * @repeat No: it fails in the same way until the configuration or the server is changed.
 * @remedy Correct what `issues` lists, with file, line and column. `npx segregato explain-config`
 *   shows where each value comes from.
 */
export class ConfigError extends SegregatoError {
  readonly code = 'SEGREGATO_CONFIG'
  /** Every mistake that was found, in the order of the configuration. */
  readonly issues: readonly ConfigIssue[]

  constructor(issues: readonly ConfigIssue[], options?: ErrorOptions) {
    super(issues.map(describeIssue).join('\n'), options)
    this.issues = issues
  }
}

const describeIssue = ({ message, path, file, line, column }: ConfigIssue): string => {
  const place =
    file === undefined ? '' : line === undefined ? file : `${file}:${line}:${column ?? 1}`
  const head = [place, path].filter(Boolean).join(' ')
  return head === '' ? message : `${head}: ${message}`
}

/**
 * A value given to the library is not usable: an `undefined` in a condition, an empty condition, a bad
 * name.
 *
 * @outcome Nothing was sent, or PostgreSQL refused the statement because of a name that it does not
 *   know.
 * @repeat No: the same call fails again.
 * @remedy Correct the call; the message names the argument and what it must be.
 */
export class InvalidArgumentError extends SegregatoError {
  readonly code = 'SEGREGATO_INVALID_ARGUMENT'
}

/**
 * A read model, or `cluster.reader`, was asked to write. Nothing was changed.
 *
 * @outcome Certainly not done, wherever it was refused: by the model, before sending, or by the server
 *   (`sqlState`).
 * @repeat No: reads never write.
 * @remedy Use a write model or `cluster.writer`. For a function that writes, too: `SELECT` alone does
 *   not make it a read.
 */
export class StrictReadModelError extends SegregatoError {
  readonly code = 'SEGREGATO_STRICT_READ'
  /** The refused method or SQL command. */
  readonly operation: string
  /** `25006` when the server refused the statement. */
  readonly sqlState: string | undefined

  constructor(operation: string, options: ErrorOptions & { sqlState?: string } = {}) {
    super(`The Read Model is not allowed to perform Write operations: ${operation}`, options)
    this.operation = operation
    this.sqlState = options.sqlState
  }
}

/**
 * A write model was asked to read. Nothing was sent.
 *
 * @outcome Nothing was sent.
 * @repeat No: write models never read.
 * @remedy Use a read model. To read what was just written, `create` and `update` return it.
 */
export class StrictWriteModelError extends SegregatoError {
  readonly code = 'SEGREGATO_STRICT_WRITE'
  /** The refused method. */
  readonly operation: string

  constructor(operation: string, options?: ErrorOptions) {
    super(`The Write Model is not allowed to perform the Read operation: ${operation}`, options)
    this.operation = operation
  }
}

/**
 * The cluster was closed, or is closing.
 *
 * @outcome Nothing was sent. A read that `close()` interrupted returned nothing.
 * @repeat Yes, on a cluster that is open.
 * @remedy Close the cluster only after the last piece of work, or open another one with `connect()`.
 */
export class ClusterClosedError extends SegregatoError {
  readonly code = 'SEGREGATO_CLUSTER_CLOSED'

  constructor() {
    super('The cluster is closed. Open a new one with connect()')
  }
}

/**
 * The default cluster is there already, opened by the models themselves.
 *
 * @outcome Nothing was sent; no second cluster was opened.
 * @repeat No: the default cluster stays until it is closed.
 * @remedy Call `connect()` before models are first used, bind models with `static cluster`, or close
 *   the default cluster.
 */
export class DefaultClusterError extends SegregatoError {
  readonly code = 'SEGREGATO_DEFAULT_CLUSTER'

  constructor() {
    super(
      'Models have already opened the default cluster from the environment. Call connect() before models are first used, ' +
        'bind the models to another cluster with `static cluster`, or close the default cluster first',
    )
  }
}

/** What `verify()` found wrong with one node. */
export interface NodeProblem {
  /** The node's key in the configuration, such as `replica1`. */
  readonly node: string
  /** What is wrong, in words; never a secret. */
  readonly problem: string
}

/**
 * `cluster.verify()` found servers that are not what the configuration says.
 *
 * @outcome Nothing was changed; the servers were only asked.
 * @repeat Yes, when the servers have been looked at.
 * @remedy Look at what `problems` says of each node. `npx segregato check` asks more and says what to
 *   do.
 */
export class ClusterVerificationError extends SegregatoError {
  readonly code = 'SEGREGATO_VERIFICATION'
  /** Every node that is wrong. */
  readonly problems: readonly NodeProblem[]

  constructor(problems: readonly NodeProblem[], options?: ErrorOptions) {
    super(problems.map(({ node, problem }) => `${node}: ${problem}`).join('\n'), options)
    this.problems = problems
  }
}

/**
 * No node has the name or the tag that was asked for.
 *
 * @outcome Nothing was sent.
 * @repeat No: the same call fails again.
 * @remedy Use a name or a tag of the configuration; the message lists them.
 */
export class UnknownNodeError extends SegregatoError {
  readonly code = 'SEGREGATO_UNKNOWN_NODE'
  /** The name that was asked for. */
  readonly target: string

  constructor(target: string, known: readonly string[]) {
    super(`No node or tag is called '${target}'. There are: ${known.join(', ')}`)
    this.target = target
  }
}

/**
 * No node may or can serve this read. Nothing was returned, the read may be repeated.
 *
 * @outcome Nothing was returned to the caller.
 * @repeat Yes: it was a read. At once it will mostly fail again; the nodes are tried anew within the
 *   quarantine, 30 s at most.
 * @remedy Look at `nodes` for the reason of each. Where `using()` narrowed the choice, allow more.
 */
export class NoReplicaAvailableError extends SegregatoError {
  readonly code = 'SEGREGATO_NO_REPLICA'
  /** The nodes that were tried or left out, each with the reason. */
  readonly nodes: readonly NodeProblem[]

  constructor(nodes: readonly NodeProblem[], options?: ErrorOptions) {
    const list = nodes.map(({ node, problem }) => `${node} (${problem})`).join(', ')
    super(
      `No node can serve this read: ${list || 'none is eligible'}. Check the servers, or widen what using() allows`,
      options,
    )
    this.nodes = nodes
  }
}

/**
 * No server accepts writes now. Nothing was sent, the write may be repeated.
 *
 * @outcome Certainly not done: it waited for a primary as long as its time allowed, and was not sent,
 *   or refused by a server that is not the primary any more.
 * @repeat Yes, when there is a primary again.
 * @remedy Look at `nodes` for what each server said, and at what promotes servers; docs/operations.md
 *   has a run-book. Give writes more `timeoutMs` to outlast a failover.
 */
export class NoPrimaryError extends SegregatoError {
  readonly code = 'SEGREGATO_NO_PRIMARY'
  /** Every node, with what it said last. */
  readonly nodes: readonly NodeProblem[]
  /** For how long a primary was looked for, in milliseconds. */
  readonly waitedMs: number

  constructor(nodes: readonly NodeProblem[], waitedMs: number, options?: ErrorOptions) {
    const list = nodes.map(({ node, problem }) => `${node} (${problem})`).join(', ')
    super(
      `No server accepted writes for ${Math.round(waitedMs)} ms: ${list}. The write was not sent; ` +
        'repeat it when a primary is back',
      options,
    )
    this.nodes = nodes
    this.waitedMs = waitedMs
  }
}

/**
 * Several servers accept writes, and nothing says which is right: writes are stopped. Nothing was
 * sent.
 *
 * @outcome Certainly not done: it was not sent, or refused by a server that is not the primary any
 *   more.
 * @repeat Yes, when one of the servers has been stopped.
 * @remedy Stop the server of `nodes` whose history is over, or make it a replica of the other;
 *   docs/operations.md has a run-book. Processes find out by themselves, nothing is to be restarted.
 */
export class SplitBrainError extends SegregatoError {
  readonly code = 'SEGREGATO_SPLIT_BRAIN'
  /** The servers that accept writes. */
  readonly nodes: readonly string[]

  constructor(nodes: readonly string[], options?: ErrorOptions) {
    super(
      `${nodes.join(' and ')} both accept writes, so nothing is written to either. ` +
        'Stop the one whose history is over, or make it a replica of the other',
      options,
    )
    this.nodes = nodes
  }
}

/**
 * The connection was lost, or the time was over, after a write had been sent: it may have been applied
 * or not. Never repeated by the library.
 *
 * @outcome **Unknown**: it may have been applied, wholly, or not at all. Of a transaction all or
 *   nothing was.
 * @repeat Not without looking: a repeated write may be applied twice. The library never does it.
 * @remedy Read by a unique key that the write carries, on the primary, then decide. A write that is
 *   made to be repeated (`ON CONFLICT DO NOTHING`, a key of the caller's) can simply be repeated.
 */
export class WriteOutcomeUnknownError extends SegregatoError {
  readonly code = 'SEGREGATO_WRITE_OUTCOME_UNKNOWN'
  /** The node that the write was sent to. */
  readonly node: string
  /**
   * `'local'`: before the connection was lost the server said that it had committed, and that it no
   * longer waits for its synchronous standbys. Lost only if this server is.
   */
  readonly durability: 'local' | undefined

  constructor(node: string, options: ErrorOptions & { durability?: 'local' | undefined } = {}) {
    super(
      `The write had been sent to ${node} when the connection or the time for it was lost; it may have been applied. ` +
        'Read by a unique key that the write carries before repeating it',
      options,
    )
    this.node = node
    this.durability = options.durability
  }
}

/**
 * All connections to a node are taken, and as many calls wait for one as may. The node itself is well.
 *
 * @outcome Certainly not done: nothing was sent.
 * @repeat Yes, but not at once: there is more work than connections.
 * @remedy Send less at once; look for statements that take too long and for clients that are not
 *   released (`cluster.status()` counts both); or raise `pool`, or `queue`.
 */
export class PoolExhaustedError extends SegregatoError {
  readonly code = 'SEGREGATO_POOL_EXHAUSTED'
  /** The node whose connections are taken. */
  readonly node: string
  /** How many connections there are. */
  readonly connections: number
  /** How many calls were waiting for one. */
  readonly waiting: number

  constructor(node: string, connections: number, waiting: number, options?: ErrorOptions) {
    super(
      `All ${connections} connections to ${node} are in use, and ${waiting} calls wait for one. Nothing was sent. ` +
        'Send less at once, look for statements that take too long or clients that are not released, or raise pool or queue',
      options,
    )
    this.node = node
    this.connections = connections
    this.waiting = waiting
  }
}

/**
 * A node accepts connections, or did, and answers nothing any more: its processes stand still, or the way
 * to it swallows everything. A read goes to another node, and this is the reason in
 * `NoReplicaAvailableError` when there is none.
 *
 * @outcome Of a write that had been sent it is the `cause` of a `WriteOutcomeUnknownError`; where the
 *   node was only being connected to, nothing was sent. On a client of the application's own it comes
 *   in place of an answer: unknown for a write.
 * @repeat A read, yes. A write only where nothing was sent.
 * @remedy Look at the server (stopped, out of memory, a disk that hangs) and at the network in between
 *   (a firewall that forgets connections).
 */
export class NodeUnresponsiveError extends SegregatoError {
  readonly code = 'SEGREGATO_NODE_UNRESPONSIVE'
  /** The node that does not answer. */
  readonly node: string
  /** For how long nothing had come from it, in milliseconds. */
  readonly silentMs: number

  constructor(node: string, silentMs: number) {
    super(
      `${node} has answered nothing for ${Math.round(silentMs)} ms, not even a question that needs no work. ` +
        'Look at the server and at the network in between',
    )
    this.node = node
    this.silentMs = silentMs
  }
}

/**
 * No replica shows yet what the session has written or seen, and the primary's share for such reads is
 * spent. The read may be repeated.
 *
 * @outcome Nothing was returned to the caller.
 * @repeat Yes: it was a read.
 * @remedy Repeat it, raise `wait_timeout_ms` or `fallback_share`, or read with `consistency:
 *   'eventual'` where old data will do. All replicas far behind: see docs/operations.md.
 */
export class StaleReplicasError extends SegregatoError {
  readonly code = 'SEGREGATO_STALE_REPLICAS'
  /** The replicas that were waited for. */
  readonly replicas: readonly string[]
  /** For how long, in milliseconds. */
  readonly waitedMs: number
  /** How many bytes of the primary's log each of them was missing, where that is known. */
  readonly missingBytes: Readonly<Record<string, number>>

  constructor(
    replicas: readonly string[],
    waitedMs: number,
    missingBytes: Readonly<Record<string, number>> = {},
  ) {
    const behind = replicas.map((name) => {
      const missing = missingBytes[name]
      return missing === undefined ? name : `${name} (${missing} bytes behind)`
    })
    super(
      `No replica shows what this session has written or seen: ${behind.join(', ') || 'none is left, which'} did not catch up within ` +
        `${Math.round(waitedMs)} ms, and the primary is serving as many such reads as it may. ` +
        'Repeat the read, or raise wait_timeout_ms or fallback_share',
    )
    this.replicas = replicas
    this.waitedMs = waitedMs
    this.missingBytes = missingBytes
  }
}

/**
 * A failover has lost what a session had written or seen, or what its token stands for: the present
 * primary does not have it, and no replica ever will.
 *
 * @outcome Nothing was returned and nothing was changed. What was lost had been confirmed before the
 *   failover, by a primary that replicated asynchronously.
 * @repeat Not in this session or with this token: it would fail again. A new session reads what is there.
 * @remedy Check what the session did, by the unique keys of what it wrote. Set `on_history_lost` to
 *   `primary` to go on with what is left; synchronous replication keeps it from happening.
 */
export class HistoryLostError extends SegregatoError {
  readonly code = 'SEGREGATO_HISTORY_LOST'
  /** The timeline of what is lost. */
  readonly timeline: number
  /** The position of what is lost, as PostgreSQL writes it. */
  readonly lsn: string

  constructor(lost: { readonly timeline: number; readonly lsn: string }) {
    super(
      `What this session had written or seen was lost in a failover (timeline ${lost.timeline}, position ${lost.lsn}). ` +
        "Check what it did and open a new session without the token, or set on_history_lost: 'primary' to go on with what is there",
    )
    this.timeline = lost.timeline
    this.lsn = lost.lsn
  }
}

/**
 * A call did not end within its time. A write that may have been applied is a {@link
 * WriteOutcomeUnknownError} instead.
 *
 * @outcome Certainly not done: what was running was cancelled, and a transaction was rolled back. A
 *   write of which that is not certain is a `WriteOutcomeUnknownError`.
 * @repeat Yes, but a statement that is too slow stays too slow.
 * @remedy Raise `timeoutMs`, or find out what the time went into: `cluster.status()` shows waiting
 *   calls, the span or the `query` event what was waited for.
 */
export class DeadlineExceededError extends SegregatoError {
  readonly code = 'SEGREGATO_DEADLINE_EXCEEDED'
  /** The time that was given to the call, in milliseconds. */
  readonly timeoutMs: number

  constructor(timeoutMs: number, options?: ErrorOptions) {
    super(
      `Not finished within ${timeoutMs} ms, and nothing was changed. Raise timeoutMs if it needs longer`,
      options,
    )
    this.timeoutMs = timeoutMs
  }
}

/**
 * Work went on after its `transaction()` or `snapshot()` had ended. Nothing was sent.
 *
 * @outcome Nothing was sent.
 * @repeat Yes, outside the scope or in a new one.
 * @remedy Await everything inside the scope's function; look for a promise that is not awaited, a
 *   stream or a timer.
 */
export class ScopeEndedError extends SegregatoError {
  readonly code = 'SEGREGATO_SCOPE_ENDED'
  /** What had ended: `'transaction'` or `'snapshot'`. */
  readonly scope: string

  constructor(scope: string) {
    super(
      `This ${scope} has ended, nothing was sent. Await everything that belongs to it inside its function`,
    )
    this.scope = scope
  }
}

/**
 * A scope was opened where it cannot be, such as a transaction inside a snapshot.
 *
 * @outcome Nothing was sent.
 * @repeat No: the same nesting fails again.
 * @remedy Do what the message says; docs/architecture.md has a table of what may nest in what.
 */
export class ScopeNestingError extends SegregatoError {
  readonly code = 'SEGREGATO_SCOPE_NESTING'
  /** What was to be opened, such as `'transaction()'`. */
  readonly inner: string
  /** What it was to be opened in. */
  readonly outer: string

  constructor(inner: string, outer: string, remedy: string) {
    super(`${inner} cannot be opened inside ${outer}. ${remedy}`)
    this.inner = inner
    this.outer = outer
  }
}

/**
 * A statement waited too long behind a BEGIN that a pool client inside the same transaction left open.
 *
 * @outcome Nothing was sent.
 * @repeat Yes, when the other client has ended its transaction.
 * @remedy Send the statement through the client that opened the `BEGIN`, commit that first, or nest
 *   with `cluster.transaction()`.
 */
export class ScopeBusyError extends SegregatoError {
  readonly code = 'SEGREGATO_SCOPE_BUSY'
  /** How long the statement waited, in milliseconds. */
  readonly waitedMs: number

  constructor(waitedMs: number) {
    super(
      `Another client of this transaction has had a BEGIN open for ${waitedMs} ms. ` +
        'Send this statement through that client, commit it first, or nest with cluster.transaction()',
    )
    this.waitedMs = waitedMs
  }
}

/**
 * COMMIT rolled the transaction back: a statement of it had failed and its error was not passed on.
 * Nothing was changed.
 *
 * @outcome Certainly not done: PostgreSQL rolled the whole transaction back.
 * @repeat Yes: the whole transaction.
 * @remedy Let errors of statements pass out of the function, or put a statement that may fail into a
 *   nested `transaction()`.
 */
export class TransactionRolledBackError extends SegregatoError {
  readonly code = 'SEGREGATO_TRANSACTION_ROLLED_BACK'

  constructor() {
    super(
      'A statement of this transaction failed and the error was caught, so PostgreSQL rolled everything back at COMMIT. ' +
        'Let the error pass, or put the statement into a nested transaction()',
    )
  }
}

/** One thing a schema found wrong with an input. */
export interface ValidationIssue {
  /** The schema's own words. */
  readonly message: string
  /** The field, from the outside in; empty for the input as a whole. `insertAll` puts the row's index first. */
  readonly path: readonly PropertyKey[]
}

/**
 * The input does not fit the model's schema. Nothing was sent.
 *
 * @outcome Nothing was sent.
 * @repeat No: the same input fails again.
 * @remedy Show `issues` to whoever made the input: each has a path and the schema's words.
 */
export class ValidationError extends SegregatoError {
  readonly code = 'SEGREGATO_VALIDATION'
  /** The name of the model's class. */
  readonly model: string
  /** Everything that the schema found. */
  readonly issues: readonly ValidationIssue[]

  constructor(model: string, issues: readonly ValidationIssue[]) {
    const list = issues.map(({ message, path }) =>
      path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`,
    )
    super(`${model}: ${list.join('; ')}`)
    this.model = model
    this.issues = issues
  }
}

/**
 * No row has this key.
 *
 * @outcome Nothing was changed; no row was returned.
 * @repeat Yes, where the row may still come. A session that has written it sees it.
 * @remedy Use `findBy` or `first`, which give `null`, where a missing row is no mistake.
 */
export class RecordNotFoundError extends SegregatoError {
  readonly code = 'SEGREGATO_RECORD_NOT_FOUND'
  /** The name of the model's class. */
  readonly model: string
  /** The model's table. */
  readonly table: string

  constructor(model: string, table: string) {
    super(`${model}: no row of ${table} has this key`)
    this.model = model
    this.table = table
  }
}

/** What PostgreSQL tells about a refused value; no row data. */
export interface ViolationFacts {
  /** PostgreSQL's five characters, such as `'23505'`. */
  readonly sqlState: string
  /** The table, where PostgreSQL names it. */
  readonly table: string | undefined
  /** The column, where PostgreSQL names it. */
  readonly column: string | undefined
  /** The constraint or unique index, where PostgreSQL names it. */
  readonly constraint: string | undefined
}

/** A value that the database refused. */
export abstract class DatabaseViolationError extends SegregatoError implements ViolationFacts {
  /** PostgreSQL's five characters, such as `'23505'`. */
  readonly sqlState: string
  /** The table, where PostgreSQL names it. */
  readonly table: string | undefined
  /** The column, where PostgreSQL names it. */
  readonly column: string | undefined
  /** The constraint or unique index, where PostgreSQL names it. */
  readonly constraint: string | undefined

  constructor(what: string, facts: ViolationFacts, options?: ErrorOptions) {
    const where = [
      facts.table && `table ${facts.table}`,
      facts.column && `column ${facts.column}`,
      facts.constraint && `constraint ${facts.constraint}`,
    ].filter(Boolean)
    super(where.length === 0 ? what : `${what} (${where.join(', ')})`, options)
    this.sqlState = facts.sqlState
    this.table = facts.table
    this.column = facts.column
    this.constraint = facts.constraint
  }

  /** What logs show: without the cause, whose message and detail hold row data. */
  [inspect.custom](): string {
    const { sqlState, table, column, constraint } = this
    return `${this.stack} ${inspect({ code: this.code, sqlState, table, column, constraint })}`
  }
}

/**
 * A row with this unique key is there already (SQLSTATE 23505). Nothing was changed.
 *
 * @outcome Certainly not done.
 * @repeat No, unless the other row goes. Inside a transaction everything fails from here on, unless
 *   the statement was in a nested one.
 * @remedy Choose another value, or use `upsert`.
 */
export class UniqueViolationError extends DatabaseViolationError {
  readonly code = 'SEGREGATO_UNIQUE_VIOLATION'
}

/**
 * A referenced row is missing, or a row is still referenced (SQLSTATE 23503). Nothing was changed.
 *
 * @outcome Certainly not done.
 * @repeat No, unless the other row comes or goes. A transaction around it has failed, too.
 * @remedy Write the row that is referred to first, or remove those that refer to this one.
 */
export class ForeignKeyViolationError extends DatabaseViolationError {
  readonly code = 'SEGREGATO_FOREIGN_KEY_VIOLATION'
}

/**
 * A column that must have a value got none (SQLSTATE 23502). Nothing was changed.
 *
 * @outcome Certainly not done.
 * @repeat No: the same values fail again. A transaction around it has failed, too.
 * @remedy Give the column that `column` names a value, or give it a default in the database.
 */
export class NotNullViolationError extends DatabaseViolationError {
  readonly code = 'SEGREGATO_NOT_NULL_VIOLATION'
}

/**
 * A check of the table or domain refused the row (SQLSTATE 23514). Nothing was changed.
 *
 * @outcome Certainly not done.
 * @repeat No: the same values fail again. A transaction around it has failed, too.
 * @remedy Change the value so that it passes the constraint that `constraint` names.
 */
export class CheckViolationError extends DatabaseViolationError {
  readonly code = 'SEGREGATO_CHECK_VIOLATION'
}

/**
 * SQLSTATE class 22: a value that its type cannot hold, such as an id that is no uuid.
 *
 * @outcome Certainly not done; of a read nothing was returned.
 * @repeat No: the same value fails again. A transaction around it has failed, too.
 * @remedy Convert the value before it is given; `column` names whose it is, where that is known.
 */
export class InvalidValueError extends DatabaseViolationError {
  readonly code = 'SEGREGATO_INVALID_VALUE'
}

/**
 * The test cluster could not be started or steered.
 *
 * @outcome The servers were not started, or not changed.
 * @repeat Yes, once the cause in the message is mended.
 * @remedy Do what the message says; docs/replication.md and the README's section on the testing kit
 *   say what is needed.
 */
export class TestClusterError extends SegregatoError {
  readonly code = 'SEGREGATO_TEST_CLUSTER'
}
