import { AsyncResource } from 'node:async_hooks'
import type { Socket } from 'node:net'
import pg from 'pg'
import type { QueryConfig, QueryResult, QueryResultRow } from 'pg'
import { StrictReadModelError } from '../errors.ts'
import type { NodeConfig } from '../config/types.ts'
import { hasControl, refusedOnReader } from '../sql/read-guard.ts'
import { firstWord } from '../sql/scan.ts'
import type { NodeClientConfig, Purpose, Watch } from './options.ts'
import { plainQuery } from './plain-query.ts'
import { bindToCaller, readQueryArguments, valuesOf } from './query-arguments.ts'
import type { QueryCallback, SubmittableQuery } from './query-arguments.ts'
import type { Questioned } from './state.ts'

/** A connection of one node. It is a `pg.Client` in every respect. */
export class NodeClient extends pg.Client {
  readonly node: NodeConfig
  readonly purpose: Purpose
  /** While the connection is lent to somebody whose statements are to be published. */
  watch: Watch | undefined

  constructor(config: NodeClientConfig) {
    super(config)
    this.node = config.segregato.node
    this.purpose = config.segregato.purpose
    config.segregato.onOpen?.(this)
    const { onRecovery } = config.segregato
    // PostgreSQL 14 and later report it: a change of role arrives with the next answer.
    this.connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
      if (parameterName === 'in_hot_standby') onRecovery?.(parameterValue === 'on')
    })
    // An 'error' event without a listener ends the process. Whoever uses the client learns of the
    // failure from the query; an idle client's failure is heard by its pool.
    this.on('error', () => {})
    // A password function that fails leaves pg's socket open until the server gives up on it.
    this.connection.on('error', () => this.connection.stream.destroy())
    // What has been used to log in need not be kept where `inspect` can show it.
    this.on('connect', () => forgetPassword(this))
  }

  /** Whether the server owes an answer: to a statement, or to the attempt to connect. */
  get isWaiting(): boolean {
    return !(this as unknown as { readyForQuery?: boolean }).readyForQuery
  }

  /** The number of the server's process behind the connection. */
  get processId(): number | undefined {
    return (this as unknown as { processID?: number | null }).processID ?? undefined
  }

  /** Bytes that have come so far. */
  get received(): number {
    return (this.connection.stream as Socket).bytesRead
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
      this.#sendWatched(config, AsyncResource.bind(callback))
      return undefined as never
    }
    return new Promise((resolve, reject) => {
      this.#sendWatched(config, (error, result) => (error ? reject(error) : resolve(result)))
    }).catch((error: Error) => {
      // As pg does: the stack of the socket's event is of no use to anybody.
      Error.captureStackTrace(error)
      throw error
    }) as never
  }

  /** For the library's own questions on a connection of the application: they count as nobody's statements. */
  get questioned(): Questioned {
    return {
      query: <Row extends QueryResultRow>(config: QueryConfig) =>
        new Promise<QueryResult<Row>>((resolve, reject) => {
          plainQuery(this, config, (error: Error | null | undefined, result: QueryResult<Row>) =>
            error ? reject(error) : resolve(result),
          )
        }),
    }
  }

  #sendWatched(config: QueryConfig, callback: QueryCallback): void {
    if (this.watch === undefined) {
      this.send(config, callback)
      return
    }
    this.watch(config.text, (ended) => {
      if (ended === undefined) this.send(config, callback)
      else
        this.send(config, (error, result) => {
          ended(error ?? undefined)
          callback(error, result)
        })
    })
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
 */
export class ReadClient extends NodeClient {
  constructor(config: NodeClientConfig) {
    super(config)
    if (this.node.pgbouncer) return
    // PostgreSQL 14 and later report this setting: the last guard against functions that change it.
    // The report comes before the server takes the next statement, and nothing is sent after it.
    this.connection.on('parameterStatus', (message: ParameterStatus) => {
      if (message.parameterName !== READ_ONLY_DEFAULT || message.parameterValue === 'on') return
      this.connection.stream.destroy(new StrictReadModelError(`SET ${READ_ONLY_DEFAULT}`))
    })
  }

  protected override send(config: QueryConfig, callback: QueryCallback): void {
    const text = typeof config.text === 'string' ? config.text : ''
    const refused = refusedOnReader(text, config.values)
    if (refused !== undefined) {
      process.nextTick(callback, new StrictReadModelError(refused))
      return
    }
    this.sendRead(config, (error, result) =>
      callback(error && refusedByServer(error, text), result),
    )
  }

  protected override submit(query: SubmittableQuery, text: string): void {
    // A query object is not looked into further: it may not touch the transaction at all.
    const refused =
      refusedOnReader(text, valuesOf(query)) ?? (hasControl(text) ? firstWord(text) : undefined)
    if (refused !== undefined) {
      const refusal = new StrictReadModelError(refused)
      process.nextTick(() => query.handleError(refusal, this.connection))
      return
    }
    const handleError = query.handleError.bind(query)
    query.handleError = (error, connection) => handleError(refusedByServer(error, text), connection)
    this.submitRead(query)
  }

  /** Sends a statement that passed the guard. */
  protected sendRead(config: QueryConfig, callback: QueryCallback): void {
    plainQuery(this, config, callback)
  }

  /** Submits a query object that passed the guard. */
  protected submitRead(query: SubmittableQuery): void {
    plainQuery(this, query)
  }
}

const READ_ONLY_DEFAULT = 'default_transaction_read_only'

interface ParameterStatus {
  readonly parameterName: string
  readonly parameterValue: string
}

const forgetPassword = (client: pg.Client): void => {
  const { connectionParameters } = client as unknown as {
    connectionParameters: { password: unknown }
  }
  client.password = undefined
  connectionParameters.password = null
}

/** SQLSTATE of a write in a read-only transaction or on a standby. */
export const READ_ONLY_SQL_TRANSACTION = '25006'

/** The strict error for a write that the server refused; any other error as it is. */
export const refusedByServer = (error: Error, text: string): Error => {
  if (!(error instanceof pg.DatabaseError) || error.code !== READ_ONLY_SQL_TRANSACTION) return error
  const named = /^cannot execute (.+?) (?:in a read-only transaction|during recovery)$/.exec(
    error.message,
  )
  const operation = named?.[1] ?? firstWord(text)
  return new StrictReadModelError(operation, { cause: error, sqlState: READ_ONLY_SQL_TRANSACTION })
}
