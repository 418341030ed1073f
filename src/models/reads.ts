import type { Knex } from 'knex'
import type { QueryResultRow } from 'pg'

import { RecordNotFoundError } from '../errors.ts'
import { declaredColumns } from './columns.ts'
import { condition } from './conditions.ts'
import { quoteIdentifier } from './identifiers.ts'
import { compileQuery, shaped } from './raw.ts'
import { columnList, EMPTY, rowCount, type ReadState } from './read-state.ts'
import { idOf, modelOf, refill, toInstances } from './rows.ts'
import { beginRead, type Compiled } from './run.ts'
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
import type { ReadModel, Row } from './types.ts'
import { toNumber } from './values.ts'

/** What `query` gives: what Knex says, or the model's rows when the builder is given back through nothing. */
export type Selected<M extends ReadModel, Built> =
  Built extends PromiseLike<infer Rows> ? Rows : Row<M>[]

export const rows = async (model: ReadModel, state: ReadState): Promise<object[]> => {
  const call = beginRead(model, state)
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
  const [row] = (await beginRead(model, state).run<QueryResultRow>(compiled)).rows
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
  const call = beginRead(model, state)
  const columns = await call.columns(namesIn(state))
  const result = await call.run(selectLast(tableOf(model), state, columns, count))
  return toInstances(model, result.rows.toReversed())
}

export const pluck = async (
  model: ReadModel,
  state: ReadState,
  columns: readonly string[],
): Promise<unknown[]> => {
  const call = beginRead(model, state)
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
  const call = beginRead(model, state)
  const { rows } = await call.run<Value>(
    selectExists(tableOf(model), state, await call.columns(namesIn(state))),
  )
  return rows[0]?.value === true
}

export const count = async (model: ReadModel, state: ReadState): Promise<number> => {
  const call = beginRead(model, state)
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
  const call = beginRead(model, state)
  const expression = `${name}(${quoteIdentifier(column)})`
  const columns = await call.columns([...namesIn(state), column])
  const { rows } = await call.run<Value>(selectValue(tableOf(model), expression, state, columns))
  return asKind(model, column, rows[0]?.value ?? null)
}

export const sum = async (model: ReadModel, state: ReadState, column: string): Promise<unknown> => {
  const total = await aggregate(model, state, 'sum', column)
  if (total !== null) return total
  // No rows. The kind is known by now, without another question to the server.
  const call = beginRead(model, state)
  return (await call.columns([column])).facts.get(column)?.kind === 'number' ? 0 : '0'
}

export const query = async (
  model: ReadModel,
  state: ReadState,
  build: (builder: Knex.QueryBuilder) => unknown,
): Promise<unknown> => {
  const call = beginRead(model, state)
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
  const { rows } = await beginRead(model, state).run<R>(statement)
  return rows
}
