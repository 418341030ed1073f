import { InvalidArgumentError } from '../errors.ts'
import type { TableColumns } from './columns.ts'
import type { ColumnKind } from './types.ts'

/** The values of one statement, and which column each belongs to (for the message when one is refused). */
export class Parameters {
  readonly values: unknown[] = []
  readonly columns: (string | undefined)[] = []

  /** Takes a value, gives its placeholder. */
  add(value: unknown, column?: string): string {
    this.columns.push(column)
    return `$${this.values.push(value)}`
  }
}

/** Whether a value is `undefined`, or an array with one in it, which `pg` would send as NULL. */
export const holdsUndefined = (value: unknown): boolean =>
  value === undefined ||
  // Not `some`, which passes over holes.
  (Array.isArray(value) && Array.from(value as unknown[]).some(holdsUndefined))

/** A value in the form in which `pg` sends it to a column of this kind. */
export const encode = (value: unknown, column: string, kind: ColumnKind | undefined): unknown => {
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') {
    throw new InvalidArgumentError(
      `The value of ${column} is ${value === undefined ? 'undefined' : `a ${typeof value}`}`,
    )
  }
  if (value === null || kind !== 'json') return value
  return encodeJson(value, column)
}

const encodeJson = (value: unknown, column: string): string => {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new InvalidArgumentError(`The value of ${column} cannot be written as JSON`, { cause })
  }
  if (text === undefined)
    throw new InvalidArgumentError(`The value of ${column} cannot be written as JSON`)
  return text
}

/** The kind of a column, if it is known. */
export const kindIn = (columns: TableColumns, column: string): ColumnKind | undefined =>
  columns.facts.get(column)?.kind

/** Makes a number of what `pg` gives for an exact type. */
export const toNumber = (value: unknown): unknown =>
  typeof value === 'string' ? Number(value) : value
