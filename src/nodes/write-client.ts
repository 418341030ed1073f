import type { QueryConfig, QueryResult } from 'pg'
import { NodeClient, plainQuery, READ_ONLY_SQL_TRANSACTION } from './client.ts'
import type { BeginWrite, NodeClientConfig } from './options.ts'
import { whenEnded } from './query-arguments.ts'
import type { QueryCallback, SubmittableQuery } from './query-arguments.ts'

/** Commands that write nothing, whatever is in them. */
const HARMLESS: ReadonlySet<string> = new Set([
  'BEGIN', 'START', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'RELEASE', 'SET', 'RESET', 'SHOW', 'LISTEN',
  'UNLISTEN', 'DEALLOCATE', 'DISCARD', 'FETCH', 'MOVE', 'CLOSE', 'LOCK',
]) // prettier-ignore

/** Results and errors of writes that are committed on their server, and perhaps on no other one. */
const localOnly = new WeakSet<object>()

/** Whether the server has said of this write that it did not wait for its synchronous standbys. */
export const isLocalOnly = (outcome: unknown): boolean =>
  typeof outcome === 'object' && outcome !== null && localOnly.has(outcome)

/**
 * A connection for writing. It tells when something that may have written has committed, so that its
 * position is asked for before the caller can start to read.
 */
export class WriteClient extends NodeClient {
  readonly #beginWrite: BeginWrite | undefined
  /** The open transaction may have written. */
  #wrote = false
  /** The connection may commit without waiting for its flush. */
  #asynchronous = false
  /** The server has said so of what is running now. */
  #localOnly = false

  constructor(config: NodeClientConfig) {
    super(config)
    const { beginWrite, noticed, onRecovery } = config.segregato
    this.#beginWrite = beginWrite
    // Before PostgreSQL 14, and behind proxies, a refused write is the only sign of another role.
    this.connection.on('errorMessage', ({ code }: { code?: string }) => {
      if (code === READ_ONLY_SQL_TRANSACTION) onRecovery?.(true)
    })
    if (noticed !== undefined) {
      this.on('notice', (notice) => {
        if (noticed(notice)) this.#localOnly = true
      })
    }
  }

  protected override send(config: QueryConfig, answer: QueryCallback): void {
    const callback: QueryCallback = (error, result) => {
      const outcome = error ?? result
      if (this.#localOnly && outcome !== undefined) localOnly.add(outcome)
      this.#localOnly = false
      answer(error, result)
    }
    const committed = this.#beginWrite?.()
    if (committed === undefined) {
      plainQuery(this, config, callback)
      return
    }
    if (mentionsSynchronousCommit(config)) this.#asynchronous = true
    plainQuery(this, config, (error: Error | null | undefined, result?: QueryResult) => {
      if (!error && this.#hasCommitted(config, result)) committed(this.#asynchronous)
      callback(error, result)
    })
  }

  protected override submit(query: SubmittableQuery, text: string): void {
    const committed = this.#beginWrite?.()
    if (committed !== undefined) {
      whenEnded(query, () => {
        this.#wrote ||= mayWrite(text, undefined)
        if (this.getTransactionStatus() !== 'T') committed(this.#asynchronous)
      })
    }
    super.submit(query, text)
  }

  /** Whether the statement that was just answered has ended a transaction, or was one, that may have written. */
  #hasCommitted({ text }: QueryConfig, result: QueryResult | undefined): boolean {
    const results = Array.isArray(result) ? (result as QueryResult[]) : [result]
    this.#wrote ||= results.some((each) => mayWrite(text, each?.command))
    if (this.getTransactionStatus() !== 'I') return false
    const wrote = this.#wrote
    this.#wrote = false
    return wrote
  }
}

/** A SELECT can write by the functions that it calls. */
const mayWrite = (text: string | undefined, command: string | undefined): boolean => {
  // A statement that is run by its name alone has no text: it may be any.
  if (command === 'SELECT') return text?.includes('(') ?? true
  return command === undefined || !HARMLESS.has(command)
}

/** `SET LOCAL` cannot be seen after COMMIT, so its name counts wherever it stands. */
const mentionsSynchronousCommit = ({ text, values }: QueryConfig): boolean =>
  /synchronous_commit/i.test(text) ||
  (Array.isArray(values) && values.includes('synchronous_commit'))
