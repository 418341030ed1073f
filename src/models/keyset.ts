import { createHash } from 'node:crypto'

import { InvalidArgumentError } from '../errors.ts'
import { whereClause } from './conditions.ts'
import type { TableColumns } from './columns.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { Order, ReadState } from './read-state.ts'
import { compiled, type Compiled } from './run.ts'
import type { Table } from './table.ts'
import { Parameters } from './values.ts'

/** The column that carries a row's place in the order, as texts: a JavaScript Date would lose microseconds. */
export const CURSOR = 'segregato cursor'

/** The place of a row in the order: the text of each column, or null. */
export type Place = readonly (string | null)[]

/** The order of pages: ties are broken by the primary key, in the direction of the last column. */
export const pageOrder = (table: Table, orders: readonly Order[]): readonly Order[] => {
  const direction = orders.at(-1)?.direction ?? 'asc'
  const named = new Set(orders.map(({ column }) => column))
  return [
    ...orders,
    ...table.key.filter((column) => !named.has(column)).map((column) => ({ column, direction })),
  ]
}

/** A cursor is good for one table in one order only. */
const signature = (table: Table, orders: readonly Order[]): string =>
  createHash('sha256')
    .update(JSON.stringify([table.name, orders]))
    .digest('base64url')
    .slice(0, 12)

export const encodeCursor = (table: Table, orders: readonly Order[], place: Place): string =>
  Buffer.from(JSON.stringify([signature(table, orders), ...place])).toString('base64url')

export const decodeCursor = (table: Table, orders: readonly Order[], cursor: unknown): Place => {
  const parts = typeof cursor === 'string' ? parse(cursor) : undefined
  const isPlace =
    Array.isArray(parts) && parts.every((part) => part === null || typeof part === 'string')
  if (!isPlace || parts[0] !== signature(table, orders) || parts.length !== orders.length + 1) {
    throw new InvalidArgumentError(
      'The cursor given as `after` is not one of this query: it must come from `next` of the same order',
    )
  }
  return parts.slice(1)
}

const parse = (cursor: string): unknown => {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}

/** One row more than the page has: it tells whether there is a next one. */
export const selectPage = (
  table: Table,
  state: ReadState,
  columns: TableColumns,
  orders: readonly Order[],
  page: { readonly after: Place | undefined; readonly limit: number },
): Compiled => {
  const parameters = new Parameters()
  const list = state.columns?.map(quoteIdentifier).join(', ') ?? '*'
  const place = `array[${orders.map(({ column }) => `${quoteIdentifier(column)}::text`).join(', ')}]`
  const where = whereClause(state.conditions, columns, parameters)
  const after =
    page.after === undefined
      ? ''
      : `${where === '' ? ' where' : ' and'} ${beyond(orders, page.after, columns, parameters)}`
  const orderBy = orders
    .map(({ column, direction }) => `${quoteIdentifier(column)} ${direction}`)
    .join(', ')
  const text = `select ${list}, ${place} as "${CURSOR}" from ${table.sql}${where}${after} order by ${orderBy} limit ${parameters.add(page.limit + 1)}`
  return compiled(text, parameters)
}

/** The condition for rows after a place: a row comparison where an index can serve it, else step by step. */
const beyond = (
  orders: readonly Order[],
  place: Place,
  columns: TableColumns,
  parameters: Parameters,
): string => {
  const [{ direction }] = orders as readonly [Order]
  const plain = orders.every(
    (order) => order.direction === direction && columns.facts.get(order.column)?.notNull === true,
  )
  if (plain && !place.includes(null)) {
    const names = orders.map(({ column }) => quoteIdentifier(column)).join(', ')
    const values = place
      .map((value, index) => parameters.add(value, orders[index]?.column))
      .join(', ')
    return `(${names}) ${direction === 'asc' ? '>' : '<'} (${values})`
  }
  const steps: string[] = []
  const equal: string[] = []
  orders.forEach((order, index) => {
    const value = place[index] ?? null
    const name = quoteIdentifier(order.column)
    const placeholder = value === null ? undefined : parameters.add(value, order.column)
    const step = follows(name, order.direction, placeholder)
    if (step !== undefined) steps.push(`(${[...equal, step].join(' and ')})`)
    equal.push(placeholder === undefined ? `${name} is null` : `${name} = ${placeholder}`)
  })
  return steps.length === 0 ? 'false' : `(${steps.join(' or ')})`
}

/** PostgreSQL sorts nulls last when ascending, first when descending. */
const follows = (
  name: string,
  direction: Order['direction'],
  placeholder: string | undefined,
): string | undefined => {
  if (direction === 'asc')
    return placeholder === undefined ? undefined : `(${name} > ${placeholder} or ${name} is null)`
  return placeholder === undefined ? `${name} is not null` : `${name} < ${placeholder}`
}
