import { CONSISTENCIES } from '../config/types.ts'
import type { CallOptions } from '../cluster/statement.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { Condition } from './conditions.ts'
import { quoteIdentifier } from './identifiers.ts'
import type { Direction } from './types.ts'

export interface Order {
  readonly column: string
  readonly direction: Direction
}

/** What a query was asked for so far. Never changed: each step makes a new one. */
export interface ReadState {
  readonly conditions: readonly Condition[]
  readonly orders: readonly Order[]
  /** `undefined`: all columns. */
  readonly columns: readonly string[] | undefined
  readonly limit: number | undefined
  readonly offset: number | undefined
  readonly options: CallOptions
  /** The first mistake made while the query was put together; sending it rejects with this. */
  readonly mistake: unknown
}

export const EMPTY: ReadState = Object.freeze({
  conditions: [],
  orders: [],
  columns: undefined,
  limit: undefined,
  offset: undefined,
  options: {},
  mistake: undefined,
})

export const order = (column: unknown, direction: unknown): Order => {
  quoteIdentifier(column)
  const lower = typeof direction === 'string' ? direction.toLowerCase() : direction
  if (lower !== 'asc' && lower !== 'desc') {
    throw new InvalidArgumentError(`The direction of orderBy must be 'asc' or 'desc'`)
  }
  return { column: column as string, direction: lower }
}

/** The columns given to `select` or `pluck`. */
export const columnList = (columns: readonly unknown[], method: string): readonly string[] => {
  if (columns.length === 0) throw new InvalidArgumentError(`${method}() needs at least one column`)
  columns.forEach(quoteIdentifier)
  return columns as string[]
}

/** A number of rows, as `limit`, `offset` and page sizes take it. */
export const rowCount = (value: unknown, what: string, least = 0): number => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    throw new InvalidArgumentError(`${what} must be a whole number of at least ${least}`)
  }
  return value
}

const OPTION_CHECKS: Readonly<Record<keyof CallOptions, (value: unknown) => boolean>> = {
  using: (value) => typeof value === 'string' && value !== '',
  timeoutMs: (value) => typeof value === 'number' && value > 0,
  maxLagMs: (value) => typeof value === 'number' && value >= 0,
  consistency: (value) => (CONSISTENCIES as readonly unknown[]).includes(value),
  signal: (value) => value instanceof AbortSignal,
}

/** Checks what `with()` was given. */
export const callOptions = (options: CallOptions): CallOptions => {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(OPTION_CHECKS, name)) {
      throw new InvalidArgumentError(
        `with() has no option ${JSON.stringify(name)}. There are: ${Object.keys(OPTION_CHECKS).join(', ')}`,
      )
    }
    if (value !== undefined && !OPTION_CHECKS[name as keyof CallOptions](value)) {
      throw new InvalidArgumentError(`The option ${name} of with() is not usable`)
    }
  }
  return { ...options }
}
