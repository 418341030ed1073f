import { whereClause, type Condition } from './conditions.ts'
import type { TableColumns } from './columns.ts'
import { quoteIdentifier } from './identifiers.ts'
import { compiled, type Compiled } from './run.ts'
import { encodeKey, keyCondition } from './select.ts'
import type { Table } from './table.ts'
import { encode, kindIn, Parameters } from './values.ts'

type Values = Readonly<Record<string, unknown>>

const setClause = (
  changes: Values,
  columns: TableColumns,
  timestamp: string | undefined,
  parameters: Parameters,
): string => {
  const sets = Object.entries(changes).map(
    ([name, value]) =>
      `${quoteIdentifier(name)} = ${parameters.add(encode(value, name, kindIn(columns, name)), name)}`,
  )
  if (timestamp !== undefined && !Object.hasOwn(changes, timestamp))
    sets.push(`${quoteIdentifier(timestamp)} = now()`)
  return sets.join(', ')
}

const keyClause = (
  table: Table,
  key: readonly unknown[],
  columns: TableColumns,
  parameters: Parameters,
): string => {
  const clause = keyCondition(table, parameters.values.length + 1)
  encodeKey(table, key, columns).forEach((value, index) => parameters.add(value, table.key[index]))
  return ` where ${clause}`
}

/** Changes the row of one primary key. */
export const updateByKey = (
  table: Table,
  key: readonly unknown[],
  changes: Values,
  columns: TableColumns,
  timestamp: string | undefined,
): Compiled => {
  const parameters = new Parameters()
  const text = `update ${table.sql} set ${setClause(changes, columns, timestamp, parameters)}`
  return compiled(
    `${text}${keyClause(table, key, columns, parameters)} returning *`,
    parameters,
    true,
  )
}

/** Changes all rows of a condition. */
export const updateWhere = (
  table: Table,
  where: Condition,
  changes: Values,
  columns: TableColumns,
  timestamp: string | undefined,
): Compiled => {
  const parameters = new Parameters()
  const text = `update ${table.sql} set ${setClause(changes, columns, timestamp, parameters)}`
  return compiled(`${text}${whereClause([where], columns, parameters)}`, parameters)
}

/** Adds to one column of a row; a null counts as 0. */
export const incrementByKey = (
  table: Table,
  key: readonly unknown[],
  column: string,
  by: unknown,
  columns: TableColumns,
  timestamp: string | undefined,
): Compiled => {
  const parameters = new Parameters()
  const name = quoteIdentifier(column)
  const touched = timestamp === undefined ? '' : `, ${quoteIdentifier(timestamp)} = now()`
  const text = `update ${table.sql} set ${name} = coalesce(${name}, 0) + ${parameters.add(by, column)}${touched}`
  return compiled(
    `${text}${keyClause(table, key, columns, parameters)} returning *`,
    parameters,
    true,
  )
}

/** Deletes the row of one primary key. */
export const deleteByKey = (
  table: Table,
  key: readonly unknown[],
  columns: TableColumns,
): Compiled => {
  const parameters = new Parameters()
  return compiled(
    `delete from ${table.sql}${keyClause(table, key, columns, parameters)}`,
    parameters,
    true,
  )
}

/** Deletes all rows of a condition. */
export const deleteWhere = (table: Table, where: Condition, columns: TableColumns): Compiled => {
  const parameters = new Parameters()
  return compiled(
    `delete from ${table.sql}${whereClause([where], columns, parameters)}`,
    parameters,
  )
}
