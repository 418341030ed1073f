import { whereClause } from './conditions.ts'
import type { TableColumns } from './columns.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { Order, ReadState } from './read-state.ts'
import { compiled, type Compiled } from './run.ts'
import type { Table } from './table.ts'
import { encode, kindIn, Parameters } from './values.ts'

/** The names that a query uses and the table must have. */
export const namesIn = ({ conditions, orders, columns }: ReadState): string[] => [
  ...conditions.flatMap((condition) => [...condition.keys()]),
  ...orders.map(({ column }) => column),
  ...(columns ?? []),
]

const listOf = (columns: readonly string[] | undefined): string =>
  columns?.map(quoteIdentifier).join(', ') ?? '*'

const orderClause = (orders: readonly Order[]): string =>
  orders.length === 0
    ? ''
    : ` order by ${orders.map(({ column, direction }) => `${quoteIdentifier(column)} ${direction}`).join(', ')}`

const limitClause = ({ limit, offset }: ReadState, parameters: Parameters): string =>
  (limit === undefined ? '' : ` limit ${parameters.add(limit)}`) +
  (offset === undefined ? '' : ` offset ${parameters.add(offset)}`)

const selectText = (
  table: Table,
  list: string,
  state: ReadState,
  columns: TableColumns,
  parameters: Parameters,
): string =>
  `select ${list} from ${table.sql}${whereClause(state.conditions, columns, parameters)}${orderClause(state.orders)}${limitClause(state, parameters)}`

/** The rows of a query. */
export const selectRows = (table: Table, state: ReadState, columns: TableColumns): Compiled => {
  const parameters = new Parameters()
  return compiled(selectText(table, listOf(state.columns), state, columns, parameters), parameters)
}

/** The last rows of a query: the order reversed, of a subquery when a limit already cuts the rows. */
export const selectLast = (
  table: Table,
  state: ReadState,
  columns: TableColumns,
  count: number,
): Compiled => {
  const parameters = new Parameters()
  const reversed = ordered(table, state).map(({ column, direction }): Order => ({
    column,
    direction: direction === 'asc' ? 'desc' : 'asc',
  }))
  if (state.limit === undefined && state.offset === undefined) {
    const last = { ...state, orders: reversed, limit: count }
    return compiled(selectText(table, listOf(state.columns), last, columns, parameters), parameters)
  }
  const inner = selectText(
    table,
    '*',
    { ...state, orders: ordered(table, state) },
    columns,
    parameters,
  )
  const text = `select ${listOf(state.columns)} from (${inner}) s${orderClause(reversed)} limit ${parameters.add(count)}`
  return compiled(text, parameters)
}

/** The order of a query, by the primary key when it has none. */
export const ordered = (table: Table, { orders }: ReadState): readonly Order[] =>
  orders.length > 0 ? orders : table.key.map((column) => ({ column, direction: 'asc' }))

/** One value made of all rows, such as `count(*)`. A limit cuts the rows first. */
export const selectValue = (
  table: Table,
  expression: string,
  state: ReadState,
  columns: TableColumns,
): Compiled => {
  const parameters = new Parameters()
  const cut = state.limit !== undefined || state.offset !== undefined
  const source = cut
    ? `(${selectText(table, '*', state, columns, parameters)}) s`
    : `${table.sql}${whereClause(state.conditions, columns, parameters)}`
  return compiled(`select ${expression} as value from ${source}`, parameters)
}

/** Whether there is any row. */
export const selectExists = (table: Table, state: ReadState, columns: TableColumns): Compiled => {
  const parameters = new Parameters()
  const text = selectText(table, '1', { ...state, orders: [] }, columns, parameters)
  return compiled(`select exists(${text}) as value`, parameters)
}

const byKey = new WeakMap<Table, string>()

/** The row of one primary key; the text is made once for each class. */
export const selectByKey = (
  table: Table,
  values: readonly unknown[],
  columns: TableColumns | undefined,
  suffix = '',
): Compiled => {
  let text = byKey.get(table)
  if (text === undefined)
    byKey.set(table, (text = `select * from ${table.sql} where ${keyCondition(table)}`))
  return {
    text: text + suffix,
    values: encodeKey(table, values, columns),
    columns: table.key,
    prepare: true,
  }
}

/** `"a" = $1 and "b" = $2`, with the placeholders from `first` on. */
export const keyCondition = ({ key }: Table, first = 1): string =>
  key.map((column, index) => `${quoteIdentifier(column)} = $${first + index}`).join(' and ')

export const encodeKey = (
  { key }: Table,
  values: readonly unknown[],
  columns: TableColumns | undefined,
): unknown[] =>
  key.map((column, index) => encode(values[index], column, columns && kindIn(columns, column)))
