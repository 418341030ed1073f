import { describeFailure, sqlStateOf } from '../routing/failures.ts'
import { firstWord } from '../sql/scan.ts'
import type { Routing } from './statement.ts'
import type { Attributes, Span } from './telemetry-api.ts'
import { Metrics } from './telemetry-metrics.ts'
import type { TelemetrySource } from './telemetry-metrics.ts'
import { Providers } from './telemetry-providers.ts'

/** What is known of a statement before it runs. */
export interface ObservedStatement {
  readonly text?: string | undefined
  /** The table of a statement that a model compiled, whose text holds no values. */
  readonly table?: string | undefined
}

/** `SpanKind` and `SpanStatusCode` of the API by value: importing them would import it. */
const INTERNAL = 0
const CLIENT = 2
const ERROR = 2

/** How a span begins. */
interface SpanPlan {
  readonly name: string
  readonly kind: number
  readonly attributes: Attributes
  /** Attributes of the span that measurements do not have. */
  readonly text?: Attributes | undefined
  /** Whether its duration is one of `db.client.operation.duration`. */
  readonly isMeasured: boolean
}

/** OpenTelemetry's spans and measurements of one cluster, for as long as an SDK is registered. */
export class Telemetry {
  readonly #source: TelemetrySource
  readonly #providers = new Providers()
  #metrics: Metrics | undefined
  #closed = false

  constructor(source: TelemetrySource) {
    this.#source = source
  }

  /** Whether anybody would see a span or a measurement. */
  get isOn(): boolean {
    return this.#providers.any
  }

  /** Runs a statement inside a span of its own, which the function ends. */
  statement<T>(statement: ObservedStatement, fn: (operation: Operation) => T): T {
    const attributes = { ...this.#database(), ...describe(statement) }
    const name = attributes['db.query.summary'] ?? attributes['db.namespace']
    // Only what a model compiled is sure to hold no value.
    const text = statement.table === undefined ? undefined : { 'db.query.text': statement.text }
    return this.#spanned({ name, kind: CLIENT, attributes, text, isMeasured: true }, fn)
  }

  /** Runs a transaction or a snapshot inside a span of its own. */
  scope<T>(kind: 'transaction' | 'snapshot', fn: (operation: Operation) => T): T {
    const attributes = this.#database()
    return this.#spanned({ name: kind, kind: INTERNAL, attributes, isMeasured: false }, fn)
  }

  /** Measures nothing of the cluster any more. */
  close(): void {
    this.#closed = true
    this.#metrics?.close()
    this.#metrics = undefined
  }

  #spanned<T>(
    { name, kind, attributes, text, isMeasured }: SpanPlan,
    fn: (operation: Operation) => T,
  ): T {
    const metrics = this.#openMetrics()
    const open = (span: Span | undefined): T =>
      fn(new Operation(this.#source, { span, metrics, attributes, isMeasured }))
    const { tracer } = this.#providers
    if (tracer === undefined) return open(undefined)
    const all = text === undefined ? attributes : { ...attributes, ...text }
    return tracer.startActiveSpan(name, { kind, attributes: all }, open)
  }

  #openMetrics(): Metrics | undefined {
    const { meter } = this.#providers
    if (this.#metrics?.meter === meter) return this.#metrics
    this.#metrics?.close()
    this.#metrics =
      meter === undefined || this.#closed ? undefined : new Metrics(meter, this.#source)
    return this.#metrics
  }

  #database(): { 'db.system.name': string; 'db.namespace': string } {
    const database = this.#source.nodes[0]?.config.database ?? ''
    return { 'db.system.name': 'postgresql', 'db.namespace': database }
  }
}

/** A statement, transaction or snapshot that is under way. */
export class Operation {
  readonly #source: TelemetrySource
  readonly #span: Span | undefined
  readonly #metrics: Metrics | undefined
  readonly #isMeasured: boolean
  /** What spans and measurements have in common, here and in `#where`; few different values. */
  readonly #attributes: Attributes
  #where: Attributes = {}
  #failed: Attributes | undefined

  constructor(
    source: TelemetrySource,
    parts: {
      readonly span: Span | undefined
      readonly metrics: Metrics | undefined
      readonly attributes: Attributes
      readonly isMeasured: boolean
    },
  ) {
    this.#source = source
    this.#span = parts.span
    this.#metrics = parts.metrics
    this.#attributes = parts.attributes
    this.#isMeasured = parts.isMeasured
  }

  /** It goes to this node now. After a failed attempt that is a retry. */
  routed({ node, role, reason, lagMs, waitedMs }: Routing, shadow?: string): void {
    const config = this.#source.nodes.find(({ name }) => name === node)?.config
    const where: Attributes = {
      'server.address': config?.host,
      'server.port': config?.port,
      'segregato.node': node,
      'segregato.role': role,
      'segregato.reason': reason,
    }
    this.#where = where
    this.#span?.setAttributes(where)
    this.#span?.setAttribute('segregato.waited_ms', waitedMs)
    if (lagMs !== undefined) this.#span?.setAttribute('segregato.lag_ms', lagMs)
    if (shadow !== undefined) this.#span?.setAttribute('segregato.shadow', shadow)
    if (this.#failed !== undefined) this.#metrics?.retries.add(1, this.#failed)
    this.#failed = undefined
  }

  /** An attempt failed for a reason that says nothing about the statement. */
  failed(node: string, problem: string): void {
    this.#failed = { 'segregato.node': node, 'error.type': problem }
    this.#span?.addEvent('segregato.attempt_failed', this.#failed)
  }

  /** It has ended; of an error only codes are kept, its text may hold values. */
  end(durationMs: number, error?: unknown): void {
    const outcome = error === undefined ? {} : describeError(error)
    if (error !== undefined) this.#span?.setStatus({ code: ERROR }).setAttributes(outcome)
    this.#span?.end()
    if (!this.#isMeasured) return
    const attributes = { ...this.#attributes, ...this.#where, ...outcome }
    this.#metrics?.duration.record(durationMs / 1_000, attributes)
  }
}

/** What PostgreSQL's statements begin with: anything else is not sure to be few different words. */
const COMMANDS: ReadonlySet<string> = new Set([
  'ABORT', 'ALTER', 'ANALYZE', 'BEGIN', 'CALL', 'CHECKPOINT', 'CLOSE', 'CLUSTER', 'COMMENT', 'COMMIT',
  'COPY', 'CREATE', 'DEALLOCATE', 'DECLARE', 'DELETE', 'DISCARD', 'DO', 'DROP', 'END', 'EXECUTE',
  'EXPLAIN', 'FETCH', 'GRANT', 'IMPORT', 'INSERT', 'LISTEN', 'LOAD', 'LOCK', 'MERGE', 'MOVE', 'NOTIFY',
  'PREPARE', 'REASSIGN', 'REFRESH', 'REINDEX', 'RELEASE', 'RESET', 'REVOKE', 'ROLLBACK', 'SAVEPOINT',
  'SECURITY', 'SELECT', 'SET', 'SHOW', 'START', 'TABLE', 'TRUNCATE', 'UNLISTEN', 'UPDATE', 'VACUUM',
  'VALUES', 'WITH',
]) // prettier-ignore

/** What the conventions want to know of a statement. */
interface Described {
  readonly 'db.operation.name'?: string
  readonly 'db.collection.name'?: string
  readonly 'db.query.summary'?: string
}

/** The first word is the whole operation only where a model made the text: SQL from outside can hold several. */
const describe = ({ text, table }: ObservedStatement): Described => {
  const word = typeof text === 'string' ? firstWord(text) : ''
  if (!COMMANDS.has(word)) return {}
  if (table === undefined) return { 'db.query.summary': word }
  return {
    'db.operation.name': word,
    'db.collection.name': table,
    'db.query.summary': `${word} ${table}`,
  }
}

const describeError = (error: unknown): Attributes => {
  const known = error instanceof Error ? error : undefined
  const { sqlState } = (known ?? {}) as { sqlState?: unknown }
  const status =
    sqlStateOf(known) ?? (typeof sqlState === 'string' ? sqlState : sqlStateOf(known?.cause))
  return {
    'error.type': describeFailure(known),
    ...(status === undefined ? {} : { 'db.response.status_code': status }),
  }
}
