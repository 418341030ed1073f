import {
  CheckViolationError,
  ForeignKeyViolationError,
  InvalidArgumentError,
  InvalidValueError,
  NotNullViolationError,
  UniqueViolationError,
  type ViolationFacts,
} from '../errors.ts'
import { tableOf } from './table.ts'
import type { Model } from './types.ts'

/** What `pg` tells about an error of the server. */
interface ServerError extends Error {
  readonly code: string
  readonly detail?: string
  readonly table?: string
  readonly column?: string
  readonly constraint?: string
  readonly where?: string
  /** The function of the server's source that raised it. */
  readonly routine?: string
}

const isServerError = (error: unknown): error is ServerError =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  /^[0-9A-Z]{5}$/.test(error.code) &&
  'severity' in error

/** The SQLSTATE of an error of the server. */
export const sqlStateOf = (error: unknown): string | undefined =>
  isServerError(error) ? error.code : undefined

/**
 * "cached plan must not change result type": a column came or went after the statement was prepared, and
 * nothing of it was run. Code 0A000 alone would not do: triggers and unsupported SQL fail with it too.
 */
export const isStalePlan = (error: unknown): boolean =>
  isServerError(error) && error.code === '0A000' && error.routine === 'RevalidateCachedQuery'

const VIOLATIONS = {
  '23505': [UniqueViolationError, 'Another row has this value already'],
  '23503': [
    ForeignKeyViolationError,
    'A row that this one refers to does not exist, or another row still refers to this one',
  ],
  '23502': [NotNullViolationError, 'A value is missing'],
  '23514': [CheckViolationError, 'A value does not pass a check'],
} as const

const isViolation = (code: string): code is keyof typeof VIOLATIONS =>
  Object.hasOwn(VIOLATIONS, code)

/** `Key (a, b)=(1, 2) already exists.` names the columns, in every language of the server's messages. */
const columnsInDetail = (detail: string | undefined): string | undefined =>
  /\(([^()=]+)\)=\(/.exec(detail ?? '')?.[1]

/** `unnamed portal parameter $2 = '…'` says which value could not be read. */
const columnOfParameter = (
  where: string | undefined,
  columns: readonly (string | undefined)[],
): string | undefined => {
  const number = /\$(\d+)/.exec(where ?? '')?.[1]
  return number === undefined ? undefined : columns[Number(number) - 1]
}

/**
 * The error that a model rejects with for what a statement failed with: refused values become typed
 * errors that name table, column and constraint; everything else passes as it is.
 *
 * @param columns - the column that each parameter of a statement belongs to; absent for raw SQL.
 */
export const translate = (
  error: unknown,
  model: Model,
  columns?: readonly (string | undefined)[],
): unknown => {
  if (!isServerError(error)) return error
  const { code } = error
  const facts = (column: string | undefined): ViolationFacts => ({
    sqlState: code,
    table: error.table ?? tableOf(model).name,
    column: error.column ?? column,
    constraint: error.constraint,
  })
  if (isViolation(code)) {
    const [Violation, what] = VIOLATIONS[code]
    return new Violation(what, facts(columnsInDetail(error.detail)), { cause: error })
  }
  if (code.startsWith('22')) {
    const column = columnOfParameter(error.where, columns ?? [])
    return new InvalidValueError('A value does not fit its type', facts(column), { cause: error })
  }
  // The message of 42703 holds names only, which came from the caller.
  if (code === '42703' && columns !== undefined)
    return new InvalidArgumentError(`${model.name}: ${error.message}`, { cause: error })
  return error
}
