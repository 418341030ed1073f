import type { QueryResultRow } from 'pg'

import { checkOptionNames } from '../cluster/option-names.ts'
import { InvalidArgumentError, RecordNotFoundError } from '../errors.ts'
import { WRITE_OPTIONS, type WriteOptions } from './binding.ts'
import { remember } from './changes.ts'
import { narrowing } from './conditions.ts'
import { quoteIdentifier } from './identifiers.ts'
import { fitsOne, insertMany, insertRows, type Conflict, type InsertPlan } from './insert.ts'
import { deleteByKey, deleteWhere, incrementByKey, updateByKey, updateWhere } from './modify.ts'
import { columnList } from './read-state.ts'
import { toInstances } from './rows.ts'
import { Call } from './run.ts'
import { selectByKey } from './select.ts'
import { keyValues, tableOf } from './table.ts'
import type { WriteModel } from './types.ts'
import { validChanges, validNew } from './validation.ts'

type Values = Readonly<Record<string, unknown>>

/** What `upsert` takes. */
export interface UpsertOptions<Name extends string = string> extends WriteOptions {
  /** What happens to a row that is there already. @defaultValue `'update'` */
  readonly onConflict?: 'update' | 'ignore'
  /** The columns of the unique index that decides whether it is there. @defaultValue the primary key */
  readonly target?: Name | readonly Name[]
  /** The columns to overwrite. @defaultValue those that were given, without the target */
  readonly update?: readonly Name[]
}

/** The column that `static timestamps` sets. */
const timestampOf = ({ timestamps }: WriteModel): string | undefined =>
  timestamps === true ? 'updated_at' : timestamps === false ? undefined : timestamps

const begin = (model: WriteModel, options: WriteOptions = {}): Call => {
  checkOptionNames(model.name, options, WRITE_OPTIONS)
  return new Call(model, 'writer', options)
}

const planOf = async (
  model: WriteModel,
  call: Call,
  names: readonly string[],
): Promise<InsertPlan> => {
  const timestamp = timestampOf(model)
  const columns = await call.columns([...names, ...(timestamp === undefined ? [] : [timestamp])])
  return { table: tableOf(model), columns, timestamp }
}

/** Makes write instances, which remember their row. */
const toWriteInstances = (model: WriteModel, rows: readonly QueryResultRow[]): object[] => {
  const columns = Object.keys(rows[0] ?? {})
  return toInstances(model, rows).map((instance) => {
    remember(instance, columns)
    return instance
  })
}

const returned = (model: WriteModel, rows: readonly QueryResultRow[]): object => {
  const [instance] = toWriteInstances(model, rows)
  if (instance === undefined) throw new RecordNotFoundError(model.name, tableOf(model).name)
  return instance
}

/** Inserts one row and gives it as the server returned it. */
export const createRow = async (
  model: WriteModel,
  input: unknown,
  options?: WriteOptions,
): Promise<QueryResultRow> => {
  const call = begin(model, options)
  const values = await validNew(model, input)
  const plan = await planOf(model, call, Object.keys(values))
  const [row] = (await call.run<QueryResultRow>(insertRows(plan, [values]))).rows
  // A trigger or a rule can keep a row from being written.
  if (row === undefined) throw new RecordNotFoundError(model.name, plan.table.name)
  return row
}

export const create = async (
  model: WriteModel,
  input: unknown,
  options?: WriteOptions,
): Promise<object> => returned(model, [await createRow(model, input, options)])

export const insertAll = async (
  model: WriteModel,
  inputs: unknown,
  options?: WriteOptions,
): Promise<object[]> => {
  if (!Array.isArray(inputs)) throw new InvalidArgumentError('insertAll() takes an array of rows')
  const call = begin(model, options)
  const rows: Values[] = []
  for (const [index, input] of inputs.entries()) rows.push(await validNew(model, input, [index]))
  if (rows.length === 0) return []
  const plan = await planOf(model, call, [...new Set(rows.flatMap((row) => Object.keys(row)))])
  const insertEach = async (): Promise<object[]> => {
    const instances: object[] = []
    for (const statement of insertMany(plan, rows)) {
      for (const instance of toWriteInstances(
        model,
        (await call.run<QueryResultRow>(statement)).rows,
      ))
        instances.push(instance)
    }
    return instances
  }
  return fitsOne(rows) ? insertEach() : call.cluster.transaction(insertEach)
}

export const upsert = async (
  model: WriteModel,
  input: unknown,
  options: UpsertOptions = {},
): Promise<object | null> => {
  checkOptionNames('upsert()', options, ['onConflict', 'target', 'update', ...WRITE_OPTIONS])
  const { onConflict = 'update', target, update, ...rest } = options
  if (onConflict !== 'update' && onConflict !== 'ignore') {
    throw new InvalidArgumentError(`onConflict must be 'update' or 'ignore'`)
  }
  const call = begin(model, rest)
  const values = await validNew(model, input)
  const on = columnList(
    target === undefined ? tableOf(model).key : typeof target === 'string' ? [target] : target,
    'The target of upsert',
  )
  // A schema's default fills a new row, but never overwrites a column that was not given.
  const wanted =
    update ??
    Object.keys(values).filter((name) => Object.hasOwn(input as object, name) && !on.includes(name))
  const conflict: Conflict = { target: on, update: onConflict === 'update' ? wanted : undefined }
  const plan = await planOf(model, call, [...Object.keys(values), ...on, ...wanted])
  const { rows } = await call.run<QueryResultRow>(insertRows(plan, [values], conflict))
  return onConflict === 'ignore' && rows.length === 0 ? null : returned(model, rows)
}

const changesOf = async (model: WriteModel, input: unknown): Promise<Values> => {
  const changes = await validChanges(model, input)
  if (Object.keys(changes).length === 0)
    throw new InvalidArgumentError(`${model.name}: there is nothing to change`)
  return changes
}

export const update = async (
  model: WriteModel,
  id: unknown,
  input: unknown,
  options?: WriteOptions,
): Promise<object> => returned(model, [await updateRow(model, id, input, options)])

/** Changes one row and gives it as the server returned it. */
export const updateRow = async (
  model: WriteModel,
  id: unknown,
  input: unknown,
  options?: WriteOptions,
): Promise<QueryResultRow> => {
  const call = begin(model, options)
  const key = keyValues(model, id)
  const changes = await changesOf(model, input)
  const { table, columns, timestamp } = await planOf(model, call, [
    ...Object.keys(changes),
    ...tableOf(model).key,
  ])
  const { rows } = await call.run<QueryResultRow>(
    updateByKey(table, key, changes, columns, timestamp),
  )
  const [row] = rows
  if (row === undefined) throw new RecordNotFoundError(model.name, table.name)
  return row
}

export const updateAll = async (
  model: WriteModel,
  where: unknown,
  input: unknown,
  options?: WriteOptions,
): Promise<number> => {
  const call = begin(model, options)
  const condition = narrowing(where, 'updateAll()')
  const changes = await changesOf(model, input)
  const { table, columns, timestamp } = await planOf(model, call, [
    ...condition.keys(),
    ...Object.keys(changes),
  ])
  return (await call.run(updateWhere(table, condition, changes, columns, timestamp))).rowCount ?? 0
}

export const deleteOne = async (
  model: WriteModel,
  id: unknown,
  options?: WriteOptions,
): Promise<boolean> => {
  const call = begin(model, options)
  const key = keyValues(model, id)
  const { table, columns } = await planOf(model, call, [])
  return (await call.run(deleteByKey(table, key, columns))).rowCount === 1
}

export const deleteAll = async (
  model: WriteModel,
  where: unknown,
  options?: WriteOptions,
): Promise<number> => {
  const call = begin(model, options)
  const condition = narrowing(where, 'deleteAll()')
  const { table, columns } = await planOf(model, call, [...condition.keys()])
  return (await call.run(deleteWhere(table, condition, columns))).rowCount ?? 0
}

export const increment = async (
  model: WriteModel,
  id: unknown,
  column: string,
  by: unknown,
  options?: WriteOptions,
): Promise<object> => {
  const call = begin(model, options)
  const key = keyValues(model, id)
  quoteIdentifier(column)
  const isNumber =
    (typeof by === 'number' && Number.isFinite(by)) ||
    typeof by === 'bigint' ||
    (typeof by === 'string' && by.trim() !== '')
  if (!isNumber)
    throw new InvalidArgumentError('increment() adds a number, a bigint or a decimal string')
  const { table, columns, timestamp } = await planOf(model, call, [column, ...tableOf(model).key])
  return returned(
    model,
    (await call.run<QueryResultRow>(incrementByKey(table, key, column, by, columns, timestamp)))
      .rows,
  )
}

/** Reads a row FOR UPDATE; only inside a transaction does the lock last. */
export const lockRow = async (
  model: WriteModel,
  id: unknown,
  options?: WriteOptions,
): Promise<object> => {
  const call = begin(model, options)
  const statement = selectByKey(tableOf(model), keyValues(model, id), undefined, ' for update')
  return returned(model, (await call.run<QueryResultRow>(statement)).rows)
}
