import type {
  Pool,
  QueryArrayConfig,
  QueryArrayResult,
  QueryConfig,
  QueryConfigValues,
  QueryResult,
  QueryResultRow,
  Submittable,
} from 'pg'
import type { Consistency } from '../config/types.ts'

/** One statement as models compile it. */
export interface Statement {
  /** SQL with `$1`, `$2`, … for values. */
  readonly text: string
  /** The values, in the order of their numbers. */
  readonly values?: readonly unknown[]
  /** Sent as a prepared statement of this name where the node allows it. */
  readonly name?: string
  /** The table that it is about: of a text without any value in it, so that it can be shown. */
  readonly table?: string
}

/** Where reads may go: a node's name, a tag, or one of the two roles. */
export type Target = 'primary' | 'replica' | (string & {})

/** What a caller may say about one call. */
export interface CallOptions {
  /** The node, tag or role that serves it; for reads outside scopes only. */
  readonly using?: Target | undefined
  /** The time for the whole call, in milliseconds: checkout, connect, statement and retries. No limit by default. */
  readonly timeoutMs?: number | undefined
  /** Ends the call early; a running statement is cancelled on the server. */
  readonly signal?: AbortSignal | undefined
  /** How far behind the primary a replica may be to serve this read, in milliseconds. */
  readonly maxLagMs?: number | undefined
  /** What this read sees. @defaultValue the session's level, else the setting */
  readonly consistency?: Consistency | undefined
}

/** Why a node was chosen. */
export const ROUTE_REASONS = [
  'write',
  'balanced',
  'retry',
  'using',
  'replica-share',
  'no-replica',
  'strong',
  'not-caught-up',
  'stale',
  'transaction',
  'snapshot',
] as const
/** One of {@link ROUTE_REASONS}. */
export type RouteReason = (typeof ROUTE_REASONS)[number]

/** Where a statement ran and why. */
export interface Routing {
  /** The node's key in the configuration, such as `replica1`. */
  readonly node: string
  /** What the configuration says the node is. */
  readonly role: 'primary' | 'replica'
  /** Why it was this node. */
  readonly reason: RouteReason
  /** How far the node was behind the primary, in milliseconds, when that is known. */
  readonly lagMs: number | undefined
  /** Milliseconds spent waiting for a replica to catch up. */
  readonly waitedMs: number
  /**
   * `'local'` on a write whose wait for a synchronous standby was cancelled: it is committed on this node,
   * and perhaps on no other one. Absent otherwise.
   */
  readonly durability?: 'local'
}

/** A result of `pg` with the record of where it came from. */
export interface RoutedResult<
  Row extends QueryResultRow = QueryResultRow,
> extends QueryResult<Row> {
  /** Where the rows came from. */
  readonly routing: Routing
}

/** The method of the cluster's pools by which models run statements. `Symbol.for`, so that duplicate installs share it. */
export const EXECUTE: unique symbol = Symbol.for('segregato.execute') as never
/** The method of the cluster's reader by which models read page by page. */
export const PAGES: unique symbol = Symbol.for('segregato.pages') as never

/** The method of the cluster's pools that tells models how much time a call of theirs has. */
export const TIMEOUT: unique symbol = Symbol.for('segregato.timeout') as never

/** The part of `cluster.writer` and `cluster.reader` that models use. */
export interface Executor {
  /** The time for a call that names none, in milliseconds; `undefined`: not limited. */
  [TIMEOUT]?(): number | undefined
  /** Runs one statement, within `timeoutMs`. For models; applications call `query`. */
  [EXECUTE]<Row extends QueryResultRow>(
    statement: Statement,
    options?: CallOptions,
  ): Promise<RoutedResult<Row>>
}

/** The part of `cluster.reader` that streams use: memory holds one page. */
export interface PageReader {
  /** Gives the rows of one statement in arrays of `pageSize`. For models; applications use a cursor. */
  [PAGES]<Row extends QueryResultRow>(
    statement: Statement,
    options: CallOptions & { readonly pageSize: number },
  ): AsyncGenerator<Row[], void, undefined>
}

/** What `pg`'s own types give where a caller says nothing about rows. */
type Anything = ReturnType<typeof JSON.parse>

/** A result of `pg` with rows as arrays, with the record of where it came from. */
export interface RoutedArrayResult<
  Row extends unknown[] = unknown[],
> extends QueryArrayResult<Row> {
  /** Where the statement ran and why. */
  readonly routing: Routing
}

/** `query` of the cluster's pools: the results tell where they came from. */
export interface RoutedQueries {
  /** Runs a query object, such as a cursor. */
  query<Query extends Submittable>(query: Query): Query
  /** Runs a statement whose rows come as arrays. */
  query<Row extends Anything[] = Anything[], Values = Anything[]>(
    config: QueryArrayConfig<Values>,
    values?: QueryConfigValues<Values>,
  ): Promise<RoutedArrayResult<Row>>
  /** Runs a statement. */
  query<Row extends QueryResultRow = Anything, Values = Anything[]>(
    config: string | QueryConfig<Values>,
    values?: QueryConfigValues<Values>,
  ): Promise<RoutedResult<Row>>
}

/** A `pg.Pool` in front of the cluster. */
export type RoutedPool = RoutedQueries & Pool
