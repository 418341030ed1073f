import { EventEmitter } from 'node:events'
import pg from 'pg'
import type { QueryConfig, QueryResult } from 'pg'
import { bindToCaller } from '../nodes/query-arguments.ts'
import type { SubmittableQuery } from '../nodes/query-arguments.ts'
import { firstWord } from '../sql/scan.ts'
import { cursorName } from './cursor.ts'

/** Runs one statement of the scope. */
type Run = (config: QueryConfig) => Promise<QueryResult>

/** A query object that reads page by page, such as those of `pg-cursor` and `pg-query-stream`. */
interface PortalQuery extends SubmittableQuery {
  cursor?: PortalQuery
  values?: readonly unknown[] | null
  handleRowDescription(message: { fields: unknown[] }): void
  handleDataRow(message: { fields: unknown[] }): void
  handlePortalSuspended(connection: unknown): void
  handleCommandComplete(message: { text: string }, connection: unknown): void
}

/** Whether a query object reads page by page from a portal. `pg.Query` reads all at once unless told otherwise. */
export const isPortal = (query: SubmittableQuery): query is PortalQuery =>
  typeof (query as Partial<PortalQuery>).handlePortalSuspended === 'function' &&
  !(query instanceof pg.Query)

/** Whether DECLARE takes a text: a query that changes nothing. */
export const isDeclarable = (text: string): boolean =>
  /^(?:SELECT|VALUES|TABLE|\(|WITH)$/.test(firstWord(text)) &&
  !/\b(?:INSERT|UPDATE|DELETE|MERGE)\b/i.test(text)

/**
 * Lets a cursor of `pg-cursor` read from a cursor that the scope DECLAREs. The cursor believes that
 * it speaks to a connection; between two of its pages other statements of the scope can run.
 */
export const submitPortal = (query: PortalQuery, text: string, run: Run): void => {
  bindToCaller(query)
  query.submit(new PortalConnection(query, text, run) as never)
}

/** The part of `pg`'s connection that a cursor uses, played by DECLARE, FETCH and CLOSE. */
class PortalConnection extends EventEmitter {
  readonly #query: PortalQuery
  readonly #run: Run
  readonly #name = cursorName()
  readonly #declared: Promise<void>
  #described = false
  #rowsAsked = 0
  #closed = false
  #failed = false

  constructor(query: PortalQuery, text: string, run: Run) {
    super()
    this.#query = query
    this.#run = run
    const values = query.values ?? query.cursor?.values
    this.#declared = run({
      text: `DECLARE ${this.#name} NO SCROLL CURSOR FOR ${text}`,
      ...(values ? { values: [...values] } : {}),
    }).then(() => undefined)
    this.#declared.catch((error: Error) => this.#fail(error))
    // Zero rows tell the columns, which a cursor wants to know before it asks for rows.
    this.#after(() => this.#fetch(0))
  }

  parse(): void {}
  bind(): void {}
  describe(): void {}

  execute({ rows }: { rows: number }): void {
    this.#rowsAsked = rows
  }

  flush(): void {
    if (!this.#described || this.#rowsAsked === 0) return
    const rows = this.#rowsAsked
    this.#rowsAsked = 0
    this.#after(() => this.#fetch(rows))
  }

  close(): void {
    this.#closed = true
  }

  sync(): void {
    this.#after(async () => {
      await this.#run({ text: `CLOSE ${this.#name}` })
      this.#ready()
    })
  }

  #ready(): void {
    // A connection does not tell a query that has failed.
    if (!this.#failed) this.#query.handleReadyForQuery(this)
    this.emit('readyForQuery')
  }

  /** Rows come as text in arrays, the form in which the protocol has them: the cursor parses them itself. */
  async #fetch(rows: number): Promise<void> {
    const result = await this.#run({
      text: `FETCH ${rows} FROM ${this.#name}`,
      rowMode: 'array',
      types: { getTypeParser: () => (value: unknown) => value },
    } as QueryConfig)
    if (!this.#described) {
      this.#described = true
      this.#query.handleRowDescription({
        fields: result.fields.map((field) => ({ ...field, format: 'text' })),
      })
      this.emit('rowDescription')
      this.flush()
      return
    }
    for (const fields of result.rows) this.#query.handleDataRow({ fields: fields as unknown[] })
    if (result.rows.length === rows) this.#query.handlePortalSuspended(this)
    else this.#query.handleCommandComplete({ text: `SELECT ${result.rows.length}` }, this)
  }

  #after(step: () => Promise<void>): void {
    this.#declared.then(step).catch((error: Error) => {
      if (!this.#closed) this.#fail(error)
      else this.#ready()
    })
  }

  #fail(error: Error): void {
    this.#closed = true
    this.#failed = true
    this.#query.handleError(error, this)
  }
}
