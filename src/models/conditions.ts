import { InvalidArgumentError } from '../errors.ts'
import type { TableColumns } from './columns.ts'
import { quoteIdentifier } from './identifiers.ts'
import { isPlainObject } from './table.ts'
import { encode, holdsUndefined, kindIn, type Parameters } from './values.ts'

/** A condition that was checked and copied: no value in it is `undefined`. */
export type Condition = ReadonlyMap<string, unknown>

/** Checks a condition as callers give it and copies it, so that later changes to their object do nothing. */
export const condition = (where: unknown): Condition => {
  if (!isPlainObject(where))
    throw new InvalidArgumentError('A condition must be an object of columns and values')
  const entries = Object.entries(where).map(([column, value]): [string, unknown] => {
    quoteIdentifier(column)
    if (holdsUndefined(value)) {
      throw new InvalidArgumentError(
        `The condition on ${column} is undefined. Use null for IS NULL, or leave the key out`,
      )
    }
    if (typeof value === 'function' || typeof value === 'symbol') {
      throw new InvalidArgumentError(`The condition on ${column} is a ${typeof value}`)
    }
    return [column, Array.isArray(value) ? [...(value as unknown[])] : value]
  })
  return new Map(entries)
}

/** The same, for operations on many rows: a condition that would mean every row is refused. */
export const narrowing = (where: unknown, operation: string): Condition => {
  const given = condition(where)
  if (given.size === 0) {
    throw new InvalidArgumentError(
      `${operation} needs a condition: an empty one would mean every row of the table`,
    )
  }
  return given
}

/** The conditions as the text after WHERE, or an empty text. */
export const whereClause = (
  conditions: readonly Condition[],
  columns: TableColumns,
  parameters: Parameters,
): string => {
  const parts = conditions.flatMap((one) =>
    Array.from(one, ([column, value]) => comparison(column, value, columns, parameters)),
  )
  return parts.length === 0 ? '' : ` where ${parts.join(' and ')}`
}

const comparison = (
  column: string,
  value: unknown,
  columns: TableColumns,
  parameters: Parameters,
): string => {
  const name = quoteIdentifier(column)
  if (value === null) return `${name} is null`
  const kind = kindIn(columns, column)
  // The type json has no equality of its own.
  if (kind === 'json')
    return `${name}::jsonb = ${parameters.add(encode(value, column, kind), column)}::jsonb`
  if (!Array.isArray(value) || kind === 'array')
    return `${name} = ${parameters.add(encode(value, column, kind), column)}`
  const values = value.filter((item) => item !== null)
  if (values.length === value.length) return `${name} = any(${parameters.add(values, column)})`
  return values.length === 0
    ? `${name} is null`
    : `(${name} = any(${parameters.add(values, column)}) or ${name} is null)`
}
