import type { QueryConfig, QueryResult } from 'pg'
import { firstWord } from '../sql/scan.ts'
import { NodeClient, READ_ONLY_SQL_TRANSACTION } from './client.ts'
import type { BeginWrite, FollowedWrite, NodeClientConfig } from './options.ts'
import { plainQuery } from './plain-query.ts'
import type { PositionQuestion } from './position-question.ts'
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

/** Commands that take no data from the client: a COPY would read what is sent behind it. */
const PLAIN: ReadonlySet<string> = new Set([
  'INSERT',
  'UPDATE',
  'DELETE',
  'MERGE',
  'WITH',
  'SELECT',
])

/** The part of `pg`'s client that its types leave out. */
interface Queue {
  readonly readyForQuery: boolean
  /** False when the connection is lost: nothing is sent any more. */
  readonly _queryable: boolean
  readonly _queryQueue: readonly unknown[]
}

/** What is to be known of a transaction before it commits; a transaction without an id has changed nothing. */
const BEFORE_COMMIT = `SELECT current_setting('synchronous_commit') <> 'off' AS waits,
  txid_current_if_assigned() IS NOT NULL AS wrote`

const isCommit = ({ text, values, name }: QueryConfig): boolean =>
  values === undefined &&
  name === undefined &&
  /^\s*(?:commit|end)(?:\s+(?:work|transaction))?\s*;?\s*$/i.test(text)

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
    const write = this.#beginWrite?.()
    if (write === undefined) {
      plainQuery(this, config, callback)
      return
    }
    if (mentionsSynchronousCommit(config)) this.#asynchronous = true
    if (this.#wrote && this.#isReady && this.getTransactionStatus() === 'T' && isCommit(config)) {
      this.#commit(write, callback)
      return
    }
    const question = this.#mayTakeQuestion(config) ? write.question(this.#asynchronous) : undefined
    if (question !== undefined) {
      this.#sendWith(question, write, config, callback)
      return
    }
    plainQuery(this, config, (error: Error | null | undefined, result?: QueryResult) => {
      if (!error && this.#hasCommitted(config, result)) {
        write.committed(this.#asynchronous, undefined)
      }
      callback(error, result)
    })
  }

  protected override submit(query: SubmittableQuery, text: string): void {
    const write = this.#beginWrite?.()
    if (write !== undefined) {
      whenEnded(query, () => {
        this.#wrote ||= mayWrite(text, undefined)
        if (this.getTransactionStatus() !== 'T') write.committed(this.#asynchronous, undefined)
      })
    }
    super.submit(query, text)
  }

  /**
   * Sends a statement and the question for its position as one message. The caller gets the result when
   * both are answered: the server answers the second while the first is on its way.
   */
  #sendWith(
    question: PositionQuestion,
    write: FollowedWrite,
    config: QueryConfig,
    callback: QueryCallback,
  ): void {
    const { stream } = this.connection
    stream.cork()
    plainQuery(this, config, (error: Error | null | undefined, result?: QueryResult) => {
      const committed = !error && this.#hasCommitted(config, result)
      question.receive(this, (lsn) => {
        if (committed) write.committed(this.#asynchronous, lsn)
        if (!error) callback(error, result)
      })
      if (error) callback(error, result)
    })
    question.send(this)
    stream.uncork()
  }

  /** Nothing else is under way, and what is sent behind it cannot be taken for its data. */
  #mayTakeQuestion(config: QueryConfig): boolean {
    if (!this.node.preparedStatements || this.getTransactionStatus() !== 'I') return false
    return this.#isReady && PLAIN.has(firstWord(config.text ?? ''))
  }

  /** The server has answered everything, and what is known of the transaction is how it is now. */
  get #isReady(): boolean {
    const { readyForQuery, _queryable: usable, _queryQueue: queue } = this as unknown as Queue
    return readyForQuery && usable && queue.length === 0
  }

  /**
   * Asks together with COMMIT whether it waits for its flush, and whether there is anything to commit: a
   * `SET LOCAL` inside a function cannot be seen in the statements, and nothing of it after COMMIT.
   */
  #commit(write: FollowedWrite, callback: QueryCallback): void {
    const text = `${BEFORE_COMMIT}; COMMIT`
    plainQuery(this, { text }, (error: Error | null | undefined, results?: unknown) => {
      const [setting, result] = Array.isArray(results) ? (results as QueryResult[]) : []
      if (error || result === undefined) {
        callback(error, result)
        return
      }
      const { waits, wrote } = (setting?.rows[0] ?? {}) as { waits?: boolean; wrote?: boolean }
      if (this.#hasCommitted({ text }, result) && wrote !== false) {
        write.committed(this.#asynchronous || waits !== true, undefined)
      }
      callback(error, result)
    })
  }

  /** Whether the statement that was just answered has ended a transaction, or was one, that may have written. */
  #hasCommitted({ text }: QueryConfig, result: QueryResult | undefined): boolean {
    const results = Array.isArray(result) ? (result as QueryResult[]) : [result]
    this.#wrote ||= results.some((each) => mayWrite(text, each?.command))
    const isIdle = this.getTransactionStatus() === 'I'
    // COMMIT AND CHAIN has committed too.
    if (!isIdle && results.every((each) => each?.command !== 'COMMIT')) return false
    const [only] = results.length === 1 ? results : []
    const wrote = this.#wrote && only?.command !== 'ROLLBACK'
    if (isIdle || only !== undefined) this.#wrote = false
    return wrote
  }
}

/** A SELECT can write by the functions that it calls. */
const mayWrite = (text: string | undefined, command: string | undefined): boolean => {
  // A statement that is run by its name alone has no text: it may be any.
  if (command === 'SELECT') return text?.includes('(') ?? true
  // Another connection's transaction, which this one has written nothing of.
  if (command === 'COMMIT') return /\bprepared\b/i.test(text ?? '')
  return command === undefined || !HARMLESS.has(command)
}

/** `SET LOCAL` cannot be seen after COMMIT, so its name counts wherever it stands. */
const mentionsSynchronousCommit = ({ text, values }: QueryConfig): boolean =>
  /synchronous_commit/i.test(text) ||
  (Array.isArray(values) && values.includes('synchronous_commit'))
