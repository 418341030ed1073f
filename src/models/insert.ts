import type { TableColumns } from './columns.ts'
import { quoteIdentifier } from './identifiers.ts'
import { compiled, type Compiled } from './run.ts'
import type { Table } from './table.ts'
import { encode, kindIn, Parameters } from './values.ts'

type Values = Readonly<Record<string, unknown>>

/** The most parameters of one statement: the protocol counts them in 16 bits. */
export const MAX_PARAMETERS = 65_535

/** The most rows of one statement, for rows that are all defaults and have no parameters. */
const MAX_ROWS = 20_000

/** How new rows become a statement. */
export interface InsertPlan {
  readonly table: Table
  readonly columns: TableColumns
  /** The column that is set to the present time where a row does not give it. */
  readonly timestamp: string | undefined
}

/** What happens to a row that is there already. */
export interface Conflict {
  /** The columns of the unique index. */
  readonly target: readonly string[]
  /** The columns to overwrite; `undefined` leaves the row as it is. */
  readonly update: readonly string[] | undefined
}

const namesOf = (rows: readonly Values[], timestamp: string | undefined): string[] => [
  ...new Set([
    ...rows.flatMap((row) => Object.keys(row)),
    ...(timestamp === undefined ? [] : [timestamp]),
  ]),
]

/** Rows with different columns share one list: what a row does not give is DEFAULT. */
export const insertRows = (
  plan: InsertPlan,
  rows: readonly Values[],
  conflict?: Conflict,
): Compiled => insert(plan, namesOf(rows, plan.timestamp), rows, conflict)

const insert = (
  { table, columns, timestamp }: InsertPlan,
  names: readonly string[],
  rows: readonly Values[],
  conflict?: Conflict,
): Compiled => {
  const parameters = new Parameters()
  // A statement needs some column to say DEFAULT for.
  const listed = names.length > 0 ? names : table.key
  const cell = (row: Values, name: string): string => {
    if (Object.hasOwn(row, name))
      return parameters.add(encode(row[name], name, kindIn(columns, name)), name)
    return name === timestamp ? 'now()' : 'default'
  }
  const list = listed.map(quoteIdentifier).join(', ')
  const values = rows
    .map((row) => `(${listed.map((name) => cell(row, name)).join(', ')})`)
    .join(', ')
  const text = `insert into ${table.sql} (${list}) values ${values}${conflict ? conflictClause(conflict, timestamp) : ''} returning *`
  return compiled(text, parameters, rows.length === 1)
}

const conflictClause = ({ target, update }: Conflict, timestamp: string | undefined): string => {
  const clause = ` on conflict (${target.map(quoteIdentifier).join(', ')}) do `
  if (update === undefined) return `${clause}nothing`
  const sets = update.map((name) => `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`)
  if (timestamp !== undefined && !update.includes(timestamp))
    sets.push(`${quoteIdentifier(timestamp)} = now()`)
  // Something must be set for the row to be returned.
  if (sets.length === 0)
    sets.push(`${quoteIdentifier(target[0]!)} = excluded.${quoteIdentifier(target[0]!)}`)
  return `${clause}update set ${sets.join(', ')}`
}

/** The statements for any number of rows, none of them with more parameters than the protocol can count. */
export const insertMany = function* (
  plan: InsertPlan,
  rows: readonly Values[],
): Generator<Compiled, void, undefined> {
  const names = namesOf(rows, plan.timestamp)
  let start = 0
  let parameters = 0
  for (const [index, row] of rows.entries()) {
    const count = Object.keys(row).length
    if (index > start && (parameters + count > MAX_PARAMETERS || index - start >= MAX_ROWS)) {
      yield insert(plan, names, rows.slice(start, index))
      start = index
      parameters = 0
    }
    parameters += count
  }
  yield insert(plan, names, rows.slice(start))
}

/** How many statements `insertMany` makes is seen without making them: whether one is enough. */
export const fitsOne = (rows: readonly Values[]): boolean =>
  rows.length <= MAX_ROWS &&
  rows.reduce((sum, row) => sum + Object.keys(row).length, 0) <= MAX_PARAMETERS
