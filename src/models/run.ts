import type { QueryResultRow } from 'pg'

import {
  EXECUTE,
  TIMEOUT,
  PAGES,
  type CallOptions,
  type RoutedResult,
  type Statement,
} from '../cluster/statement.ts'
import { DeadlineExceededError } from '../errors.ts'
import { clusterOf, type ModelCluster } from './binding.ts'
import { columnsOf, type TableColumns } from './columns.ts'
import { isStalePlan, sqlStateOf, translate } from './errors.ts'
import { preparedName, renewNames } from './prepared.ts'
import type { ReadState } from './read-state.ts'
import { tableOf } from './table.ts'
import type { Model } from './types.ts'
import type { Parameters } from './values.ts'

/** A statement, the columns its values belong to, and whether it is worth preparing. */
export interface Compiled {
  readonly text: string
  readonly values: readonly unknown[]
  /** Which column each value belongs to; absent for raw SQL. */
  readonly columns?: readonly (string | undefined)[]
  /** For texts that are few and come again and again. */
  readonly prepare?: boolean
}

/** Where every value has its column, all of the text is ours and holds none. */
const statementOf = ({ text, values, columns }: Compiled, model: Model): Statement =>
  columns === undefined ? { text, values } : { text, values, table: tableOf(model).name }

/** A statement made of a model's own calls, with no SQL from outside. */
export const compiled = (
  text: string,
  { values, columns }: Parameters,
  prepare = false,
): Compiled => ({
  text,
  values,
  columns,
  prepare,
})

/** Starts a call of a query. A mistake in the query shows here, so that it always comes as a rejection. */
export const beginRead = (model: Model, { options, mistake }: ReadState): Call => {
  if (mistake !== undefined) throw mistake
  return new Call(model, 'reader', options)
}

/**
 * One call of a model: which pool it uses and what is left of its time. A call may need several
 * statements (the first use of a class asks the catalogue), its `timeoutMs` covers all of them.
 */
export class Call {
  readonly model: Model
  readonly cluster: ModelCluster
  readonly #side: 'reader' | 'writer'
  readonly #options: CallOptions
  /** The time for the call when the caller named none. Streams have none. */
  readonly #usualMs: number | undefined
  readonly #startedAt: number

  constructor(model: Model, side: 'reader' | 'writer', options: CallOptions = {}) {
    this.model = model
    this.cluster = clusterOf(model)
    this.#side = side
    this.#options = options
    this.#usualMs = this.cluster[side][TIMEOUT]?.()
    this.#startedAt = performance.now()
  }

  /** The columns of the table, of which `names` are about to be used. */
  columns(names: readonly string[]): Promise<TableColumns> {
    return columnsOf(this.model, this.cluster[this.#side], names, this.#inTime())
  }

  /** Sends one statement. */
  async run<Row extends QueryResultRow>(wanted: Compiled): Promise<RoutedResult<Row>> {
    const statement = statementOf(wanted, this.model)
    const name = wanted.prepare === true ? preparedName(wanted.text) : undefined
    try {
      if (name === undefined) return await this.#send<Row>(statement)
      return await this.#send<Row>({ ...statement, name }).catch((error: unknown) => {
        if (!isStalePlan(error)) throw error
        renewNames()
        // Nothing was run. Inside a transaction, which is aborted now, the first error tells more.
        return this.#send<Row>(statement).catch((second: unknown) => {
          throw sqlStateOf(second) === '25P02' ? error : second
        })
      })
    } catch (error) {
      throw translate(error, this.model, wanted.columns)
    }
  }

  #send<Row extends QueryResultRow>(statement: Statement): Promise<RoutedResult<Row>> {
    return this.cluster[this.#side][EXECUTE]<Row>(statement, this.#inTime())
  }

  /** Reads page by page: memory holds one page. */
  async *pages<Row extends QueryResultRow>(
    wanted: Compiled,
    pageSize: number,
  ): AsyncGenerator<Row[], void, undefined> {
    try {
      yield* this.cluster.reader[PAGES]<Row>(statementOf(wanted, this.model), {
        ...this.#left(this.#options.timeoutMs),
        pageSize,
      })
    } catch (error) {
      throw translate(error, this.model, wanted.columns)
    }
  }

  #inTime(): CallOptions {
    return this.#left(this.#options.timeoutMs ?? this.#usualMs)
  }

  #left(timeoutMs: number | undefined): CallOptions {
    if (timeoutMs === undefined) return this.#options
    const left = Math.ceil(timeoutMs - (performance.now() - this.#startedAt))
    if (left <= 0) throw new DeadlineExceededError(timeoutMs)
    return { ...this.#options, timeoutMs: left }
  }
}
