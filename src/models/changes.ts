import { InvalidArgumentError } from '../errors.ts'
import { idOf, modelOf } from './rows.ts'
import { tableOf } from './table.ts'

/**
 * What write instances remember of their row: its key, and enough to see which columns were changed
 * since, values that were changed in place included.
 */
interface Loaded {
  /** `undefined` when the row was read without its whole key. */
  readonly id: unknown
  readonly columns: ReadonlyMap<string, unknown>
}

/** The row of an instance; `'deleted'` when it had one. Absent for an instance that was never saved. */
const rows = new WeakMap<object, Loaded | 'deleted'>()

/** A value that is equal for equal contents; objects are copied, so that changing them in place shows. */
const fingerprint = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return `date ${value.getTime()}`
  if (ArrayBuffer.isView(value)) {
    return `bytes ${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}`
  }
  try {
    return `json ${JSON.stringify(value)}`
  } catch {
    // Circular or with a bigint, so never from a row: a change for certain, and `encode` refuses it in words.
    return Symbol('unwritable')
  }
}

/** Remembers the row that an instance was just filled from. */
export const remember = (instance: object, columns: readonly string[]): void => {
  const fields = instance as Record<string, unknown>
  const whole = tableOf(modelOf(instance)).key.every((column) => (fields[column] ?? null) !== null)
  rows.set(instance, {
    id: whole ? idOf(instance) : undefined,
    columns: new Map(columns.map((column) => [column, fingerprint(fields[column])])),
  })
}

/** Notes that the instance's row was deleted, so that saving it does not insert it again. */
export const forget = (instance: object): void => {
  rows.set(instance, 'deleted')
}

export type RowState = 'new' | 'stored' | 'deleted'

export const rowState = (instance: object): RowState => {
  const row = rows.get(instance)
  return row === undefined ? 'new' : row === 'deleted' ? 'deleted' : 'stored'
}

/** The primary key under which the instance's row was loaded, else the one that it has now. */
export const loadedId = (instance: object): unknown => {
  const row = rows.get(instance)
  return (typeof row === 'object' ? row.id : undefined) ?? idOf(instance)
}

/** The columns that differ from the row, with their present values. */
export const changedColumns = (instance: object): Record<string, unknown> => {
  const row = rows.get(instance)
  const fields = instance as Record<string, unknown>
  const changed: Record<string, unknown> = {}
  for (const [column, was] of typeof row === 'object' ? row.columns : []) {
    const value = fields[column]
    if (Object.is(fingerprint(value), was)) continue
    if (value === undefined) {
      throw new InvalidArgumentError(
        `${modelOf(instance).name}: ${column} was set to undefined. Use null for no value`,
      )
    }
    changed[column] = value
  }
  return changed
}
