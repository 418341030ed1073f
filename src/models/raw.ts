import type { Knex } from 'knex'
import type { QueryResultRow } from 'pg'

import { InvalidArgumentError } from '../errors.ts'
import { compileSelect, type CompiledSelect } from '../knex/compiler.ts'
import type { TableColumns } from './columns.ts'
import { whereClause } from './conditions.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { ReadState } from './read-state.ts'
import type { Compiled } from './run.ts'
import type { Table } from './table.ts'
import { holdsUndefined, Parameters } from './values.ts'

/** Stands for a value until the text is handed to Knex; no identifier can contain it. */
const MARK = '\0'

class KnexParameters extends Parameters {
  override add(value: unknown, column?: string): string {
    super.add(value, column)
    return MARK
  }
}

/** Knex reads `?` as a placeholder: the question marks of names are escaped. */
const forKnex = (text: string): string => text.replaceAll('?', '\\?').replaceAll(MARK, '?')

/** What a query asks for already, told to a Knex builder. */
const start = (
  builder: Knex.QueryBuilder,
  table: Table,
  state: ReadState,
  columns: TableColumns,
): void => {
  void builder.fromRaw(forKnex(table.sql))
  const parameters = new KnexParameters()
  const where = whereClause(state.conditions, columns, parameters)
  if (where !== '')
    void builder.whereRaw(
      `(${forKnex(where.slice(' where '.length))})`,
      parameters.values as Knex.Value[],
    )
  for (const { column, direction } of state.orders)
    void builder.orderByRaw(`${forKnex(quoteIdentifier(column))} ${direction}`)
  if (state.columns !== undefined) void builder.select(state.columns)
  if (state.limit !== undefined) void builder.limit(state.limit)
  if (state.offset !== undefined) void builder.offset(state.offset)
}

/** Compiles `query(qb => …)`. */
export const compileQuery = (
  table: Table,
  state: ReadState,
  columns: TableColumns,
  build: (builder: Knex.QueryBuilder) => unknown,
): CompiledSelect => compileSelect((builder) => start(builder, table, state, columns), build)

/** Gives rows the shape that the builder asked for. */
export const shaped = (
  rows: readonly QueryResultRow[],
  shape: CompiledSelect['shape'],
): unknown => {
  if (shape === 'first') return rows[0]
  if (shape === 'rows') return rows
  return rows.map((row) => row[shape.pluck] as unknown)
}

/** Compiles the `sql` tag: every value becomes a binding. */
export const compileTemplate = (
  strings: TemplateStringsArray,
  values: readonly unknown[],
): Compiled => {
  if (
    !Array.isArray(strings) ||
    !Array.isArray(strings.raw) ||
    strings.length !== values.length + 1
  ) {
    throw new InvalidArgumentError(
      'sql is a template tag: write sql`select … ${value}`, not sql(text)',
    )
  }
  values.forEach((value, index) => {
    const missing = holdsUndefined(value)
    if (missing || typeof value === 'function' || typeof value === 'symbol') {
      const found =
        value === undefined
          ? 'undefined'
          : missing
            ? 'an array with undefined in it'
            : `a ${typeof value}`
      throw new InvalidArgumentError(`Value ${index + 1} of the sql template is ${found}`)
    }
  })
  return {
    text: strings.map((part, index) => (index === 0 ? part : `$${index}${part}`)).join(''),
    values,
  }
}
