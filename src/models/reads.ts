import type { Knex } from 'knex'
import type { QueryResultRow } from 'pg'

import { InvalidArgumentError, RecordNotFoundError } from '../errors.ts'
import { declaredColumns } from './columns.ts'
import { condition } from './conditions.ts'
import { quoteIdentifier } from './identifiers.ts'
import { CURSOR, decodeCursor, encodeCursor, pageOrder, selectPage, type Place } from './keyset.ts'
import { compileQuery, shaped } from './raw.ts'
import { columnList, EMPTY, rowCount, type ReadState } from './read-state.ts'
import { idOf, modelOf, refill, toInstances } from './rows.ts'
import { Call, type Compiled } from './run.ts'
import {
  namesIn,
  ordered,
  selectByKey,
  selectExists,
  selectLast,
  selectRows,
  selectValue,
} from './select.ts'
import { keyValues, tableOf } from './table.ts'
import type { Page, ReadModel, Row } from './types.ts'
import { toNumber } from './values.ts'

const PAGE_SIZE = 100
const BATCH_SIZE = 1_000

/** What `paginate` takes. */
export interface PageOptions {
  /** The `next` of the page before; absent or `null` for the first page. */
  readonly after?: string | null | undefined
  /** How many rows a page has. @defaultValue the query's own limit, else 100 */
  readonly limit?: number | undefined
}

/** What `inBatches` takes. */
export interface BatchOptions {
  /** How many rows a batch has. @defaultValue `1_000` */
  readonly size?: number | undefined
}

/** What `stream` takes. */
export interface StreamOptions {
  /** How many rows are fetched at once. @defaultValue `1_000` */
  readonly pageSize?: number | undefined
}

/** What `query` gives: what Knex says, or the model's rows when the builder is given back through nothing. */
export type Selected<M extends ReadModel, Built> =
  Built extends PromiseLike<infer Rows> ? Rows : Row<M>[]

/** Starts a call. A mistake in the query shows here, so that it always comes as a rejection. */
const begin = (model: ReadModel, { options, mistake }: ReadState): Call => {
  if (mistake !== undefined) throw mistake
  return new Call(model, 'reader', options)
}

export const rows = async (model: ReadModel, state: ReadState): Promise<object[]> => {
  const call = begin(model, state)
  const columns = await call.columns(namesIn(state))
  const result = await call.run(selectRows(tableOf(model), state, columns))
  return toInstances(model, result.rows)
}

const isPlain = (state: ReadState): boolean =>
  state.conditions.length === 0 &&
  state.columns === undefined &&
  state.limit === undefined &&
  state.offset === undefined

const notFound = (model: ReadModel): RecordNotFoundError =>
  new RecordNotFoundError(model.name, tableOf(model).name)

/** The row of a primary key: a text that is made once for each class, and no question to the catalogue. */
const rowByKey = async (
  model: ReadModel,
  state: ReadState,
  id: unknown,
): Promise<QueryResultRow> => {
  const compiled = selectByKey(tableOf(model), keyValues(model, id), declaredColumns(model))
  const [row] = (await begin(model, state).run<QueryResultRow>(compiled)).rows
  if (row === undefined) throw notFound(model)
  return row
}

export const find = async (model: ReadModel, state: ReadState, id: unknown): Promise<object> => {
  if (isPlain(state)) return toInstances(model, [await rowByKey(model, state, id)])[0]!
  const { key } = tableOf(model)
  const values = keyValues(model, id)
  const byKey = condition(Object.fromEntries(key.map((column, index) => [column, values[index]])))
  const [found] = await rows(model, { ...state, conditions: [...state.conditions, byKey] })
  if (found === undefined) throw notFound(model)
  return found
}

/** Fills an instance with its row as it is now; fields that are no columns stay. */
export const reload = async (instance: object): Promise<void> => {
  const model = modelOf(instance)
  refill(model, instance, await rowByKey(model, EMPTY, idOf(instance)))
}

export const first = async (
  model: ReadModel,
  state: ReadState,
  count: number,
): Promise<object[]> => {
  const limit = Math.min(rowCount(count, 'The number of rows'), state.limit ?? Infinity)
  return rows(model, { ...state, orders: ordered(tableOf(model), state), limit })
}

export const last = async (
  model: ReadModel,
  state: ReadState,
  count: number,
): Promise<object[]> => {
  rowCount(count, 'The number of rows')
  const call = begin(model, state)
  const columns = await call.columns(namesIn(state))
  const result = await call.run(selectLast(tableOf(model), state, columns, count))
  return toInstances(model, result.rows.toReversed())
}

export const pluck = async (
  model: ReadModel,
  state: ReadState,
  columns: readonly string[],
): Promise<unknown[]> => {
  const call = begin(model, state)
  const wanted = { ...state, columns: columnList(columns, 'pluck') }
  const compiled = selectRows(tableOf(model), wanted, await call.columns(namesIn(wanted)))
  const result = await call.run<QueryResultRow>(compiled)
  const valueOf = (row: QueryResultRow, column: string): unknown =>
    asKind(model, column, row[column])
  const [only] = columns
  if (columns.length === 1) return result.rows.map((row) => valueOf(row, only!))
  return result.rows.map((row) => columns.map((column) => valueOf(row, column)))
}

const asKind = (model: ReadModel, column: string, value: unknown): unknown =>
  model.columns?.[column] === 'number' ? toNumber(value) : value

interface Value {
  readonly value: unknown
}

export const exists = async (model: ReadModel, state: ReadState): Promise<boolean> => {
  const call = begin(model, state)
  const { rows } = await call.run<Value>(
    selectExists(tableOf(model), state, await call.columns(namesIn(state))),
  )
  return rows[0]?.value === true
}

export const count = async (model: ReadModel, state: ReadState): Promise<number> => {
  const call = begin(model, state)
  const { rows } = await call.run<Value>(
    selectValue(tableOf(model), 'count(*)', state, await call.columns(namesIn(state))),
  )
  return Number(rows[0]?.value)
}

export const aggregate = async (
  model: ReadModel,
  state: ReadState,
  name: 'sum' | 'avg' | 'min' | 'max',
  column: string,
): Promise<unknown> => {
  const call = begin(model, state)
  const expression = `${name}(${quoteIdentifier(column)})`
  const columns = await call.columns([...namesIn(state), column])
  const { rows } = await call.run<Value>(selectValue(tableOf(model), expression, state, columns))
  return asKind(model, column, rows[0]?.value ?? null)
}

export const sum = async (model: ReadModel, state: ReadState, column: string): Promise<unknown> => {
  const total = await aggregate(model, state, 'sum', column)
  if (total !== null) return total
  // No rows. The kind is known by now, without another question to the server.
  const call = begin(model, state)
  return (await call.columns([column])).facts.get(column)?.kind === 'number' ? 0 : '0'
}

const withoutPlace = (row: QueryResultRow): QueryResultRow =>
  Object.fromEntries(Object.entries(row).filter(([name]) => name !== CURSOR))

export const paginate = async (
  model: ReadModel,
  state: ReadState,
  options: PageOptions,
): Promise<Page<object>> => {
  if (state.offset !== undefined)
    throw new InvalidArgumentError('paginate() goes by cursor: leave offset() out')
  const table = tableOf(model)
  const limit = rowCount(options.limit ?? state.limit ?? PAGE_SIZE, 'The limit of a page', 1)
  const orders = pageOrder(table, state.orders)
  const after =
    options.after === undefined || options.after === null
      ? undefined
      : decodeCursor(table, orders, options.after)
  const call = begin(model, state)
  const columns = await call.columns(namesIn({ ...state, orders }))
  const { rows } = await call.run<QueryResultRow>(
    selectPage(table, state, columns, orders, { after, limit }),
  )
  const page = rows.slice(0, limit)
  const place = page.at(-1)?.[CURSOR] as Place | undefined
  const next =
    rows.length > limit && place !== undefined ? encodeCursor(table, orders, place) : null
  return {
    rows: toInstances(model, page.map(withoutPlace)),
    next,
  }
}

export const batches = async function* (
  model: ReadModel,
  state: ReadState,
  size: number = BATCH_SIZE,
): AsyncGenerator<object[], void, undefined> {
  rowCount(size, 'The size of a batch', 1)
  const call = begin(model, state)
  const columns = await call.columns(namesIn(state))
  for await (const page of call.pages(selectRows(tableOf(model), state, columns), size)) {
    if (page.length > 0) yield toInstances(model, page)
  }
}

export const stream = async function* (
  model: ReadModel,
  state: ReadState,
  { pageSize }: StreamOptions,
): AsyncGenerator<object, void, undefined> {
  for await (const batch of batches(model, state, pageSize)) yield* batch
}

export const query = async (
  model: ReadModel,
  state: ReadState,
  build: (builder: Knex.QueryBuilder) => unknown,
): Promise<unknown> => {
  const call = begin(model, state)
  const columns = await call.columns(namesIn(state))
  const { shape, ...statement } = compileQuery(tableOf(model), state, columns, build)
  const { rows } = await call.run(statement)
  return shaped(rows, shape)
}

export const sql = async <R extends QueryResultRow>(
  model: ReadModel,
  state: ReadState,
  statement: Compiled,
): Promise<R[]> => {
  const { rows } = await begin(model, state).run<R>(statement)
  return rows
}
