import { AsyncResource } from 'node:async_hooks'
import pg from 'pg'
import type { QueryConfig } from 'pg'
import { StrictReadModelError } from '../errors.ts'
import type { NodeConfig } from '../config/types.ts'
import { controlsOf, rewriteControls } from '../sql/control.ts'
import { refusedOnReader } from '../sql/read-guard.ts'
import { firstWord } from '../sql/scan.ts'
import type { NodeClientConfig, Purpose } from './options.ts'
import { bindToCaller, readQueryArguments, whenEnded } from './query-arguments.ts'
import type { QueryCallback, SubmittableQuery } from './query-arguments.ts'

/** `query` without its overloads, which cannot be declared again in a subclass. */
export const plainQuery = (client: pg.Client, ...args: unknown[]): void => {
  Reflect.apply(Reflect.get(pg.Client.prototype, 'query'), client, args)
}

/** A connection of one node. It is a `pg.Client` in every respect. */
export class NodeClient extends pg.Client {
  readonly node: NodeConfig
  readonly purpose: Purpose

  constructor(config: NodeClientConfig) {
    super(config)
    this.node = config.segregato.node
    this.purpose = config.segregato.purpose
    config.segregato.onOpen?.(this)
    // An 'error' event without a listener ends the process. Whoever uses the client learns of the
    // failure from the query; an idle client's failure is heard by its pool.
    this.on('error', () => {})
    // A password function that fails leaves pg's socket open until the server gives up on it.
    this.connection.on('error', () => this.connection.stream.destroy())
  }

  override query(...args: never[]): never {
    const call = readQueryArguments(args)
    if ('submittable' in call) {
      bindToCaller(call.submittable)
      this.submit(call.submittable, call.text)
      return call.submittable as never
    }
    const { config, callback } = call
    // Without its name a statement is parsed anew each time, which any pooler can follow.
    if (!this.node.preparedStatements) delete config.name
    if (callback !== undefined) {
      this.send(config, AsyncResource.bind(callback))
      return undefined as never
    }
    return new Promise((resolve, reject) => {
      this.send(config, (error, result) => (error ? reject(error) : resolve(result)))
    }).catch((error: Error) => {
      // As pg does: the stack of the socket's event is of no use to anybody.
      Error.captureStackTrace(error)
      throw error
    }) as never
  }

  protected send(config: QueryConfig, callback: QueryCallback): void {
    plainQuery(this, config, callback)
  }

  protected submit(query: SubmittableQuery, _text: string): void {
    plainQuery(this, query)
  }
}

/**
 * A connection for reads. The server refuses writes since it was opened with
 * `default_transaction_read_only=on`; what would lift that is refused here before it is sent.
 * Behind a pooler that takes no start-up parameters each statement runs in `BEGIN READ ONLY`.
 */
export class ReadClient extends NodeClient {
  #inTransaction = false
  #readWrite = false

  constructor(config: NodeClientConfig) {
    super(config)
    // PostgreSQL 14 and later report this setting: the last guard against functions that change it.
    this.connection.on('parameterStatus', (message: ParameterStatus) => {
      if (message.parameterName !== 'default_transaction_read_only') return
      if (this.node.pgbouncer || message.parameterValue === 'on') return
      this.#readWrite = true
      // Not at once: the statement that did it is still running, and its result belongs to the caller.
      this.once('drain', () => void this.end())
    })
  }

  #refusal(text: string, values?: readonly unknown[]): StrictReadModelError | undefined {
    if (this.#readWrite) return new StrictReadModelError('SET default_transaction_read_only')
    const operation = refusedOnReader(text, values)
    return operation === undefined ? undefined : new StrictReadModelError(operation)
  }

  protected override send(config: QueryConfig, callback: QueryCallback): void {
    const text = typeof config.text === 'string' ? config.text : ''
    const refusal = this.#refusal(text, config.values)
    if (refusal !== undefined) {
      process.nextTick(callback, refusal)
      return
    }
    const answer: QueryCallback = (error, result) =>
      callback(error && refusedByServer(error, text), result)
    if (!this.node.pgbouncer) {
      plainQuery(this, config, answer)
    } else if (this.#follows(text)) {
      plainQuery(this, { ...config, text: beginReadOnly(text) }, answer)
    } else {
      plainQuery(this, 'BEGIN READ ONLY', () => {})
      plainQuery(this, config, (error: Error | null, result: never) => {
        plainQuery(this, 'COMMIT', () => answer(error, result))
      })
    }
  }

  protected override submit(query: SubmittableQuery, text: string): void {
    const refusal = this.#refusal(text)
    if (refusal !== undefined) {
      process.nextTick(() => query.handleError(refusal, this.connection))
      return
    }
    const handleError = query.handleError.bind(query)
    query.handleError = (error, connection) => handleError(refusedByServer(error, text), connection)
    if (this.node.pgbouncer && !this.#follows(text)) {
      plainQuery(this, 'BEGIN READ ONLY', () => {})
      whenEnded(query, () => plainQuery(this, 'COMMIT', () => {}))
    }
    plainQuery(this, query)
  }

  /** Whether a text belongs to a transaction of the user's own, so that it gets none around it. */
  #follows(text: string): boolean {
    const controls = controlsOf(text)
    const last = controls.at(-1)
    if (last === undefined) return this.#inTransaction
    this.#inTransaction = last.kind === 'begin' || ('chain' in last && last.chain)
    return true
  }
}

interface ParameterStatus {
  readonly parameterName: string
  readonly parameterValue: string
}

const beginReadOnly = (text: string): string =>
  rewriteControls(text, (control, original) =>
    control.kind === 'begin' && control.access === undefined
      ? `${original.trimEnd()} READ ONLY`
      : original,
  )

/** SQLSTATE of a write in a read-only transaction or on a standby. */
const READ_ONLY_SQL_TRANSACTION = '25006'

/** The strict error for a write that the server refused; any other error as it is. */
export const refusedByServer = (error: Error, text: string): Error => {
  if (!(error instanceof pg.DatabaseError) || error.code !== READ_ONLY_SQL_TRANSACTION) return error
  const named = /^cannot execute (.+?) (?:in a read-only transaction|during recovery)$/.exec(
    error.message,
  )
  const operation = named?.[1] ?? firstWord(text)
  return new StrictReadModelError(operation, { cause: error, sqlState: READ_ONLY_SQL_TRANSACTION })
}
