import { InvalidArgumentError } from '../errors.ts'
import { quoteIdentifier, quoteTable } from './identifiers.ts'
import type { Model } from './types.ts'

/** A model's table, checked and quoted once per class. */
export interface Table {
  readonly name: string
  /** The quoted name. */
  readonly sql: string
  /** The columns of the primary key; never empty. */
  readonly key: readonly string[]
}

const tables = new WeakMap<Model, Table>()

/** The table of a model class. */
export const tableOf = (model: Model): Table => {
  let table = tables.get(model)
  if (table === undefined) tables.set(model, (table = describe(model)))
  return table
}

const describe = (model: Model): Table => {
  const { name, tableName, primaryKey } = model
  if (typeof tableName !== 'string' || tableName === '') {
    throw new InvalidArgumentError(
      `${name} has no table. Say \`static override tableName = '…'\` in the class`,
    )
  }
  const key = typeof primaryKey === 'string' ? [primaryKey] : [...primaryKey]
  if (key.length === 0) throw new InvalidArgumentError(`${name}.primaryKey names no column`)
  key.forEach(quoteIdentifier)
  return Object.freeze({ name: tableName, sql: quoteTable(tableName), key: Object.freeze(key) })
}

/** The value of each column of the primary key that an id stands for. */
export const keyValues = (model: Model, id: unknown): readonly unknown[] => {
  const { key } = tableOf(model)
  const values =
    key.length === 1
      ? [id]
      : key.map((column) => (isRecord(id) && Object.hasOwn(id, column) ? id[column] : undefined))
  if (
    values.some(
      (value) =>
        value === undefined ||
        value === null ||
        typeof value === 'function' ||
        typeof value === 'symbol',
    )
  ) {
    const wanted = key.length === 1 ? `the value of ${key[0]}` : `an object with ${key.join(', ')}`
    throw new InvalidArgumentError(
      `The id of ${model.name} must be ${wanted}, without undefined or null`,
    )
  }
  if (key.length === 1 && (Array.isArray(id) || isPlainObject(id))) {
    throw new InvalidArgumentError(
      `The id of ${model.name} must be one value. For several rows use where({ ${key[0]}: […] })`,
    )
  }
  return values
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

/** True for object literals and what JSON.parse makes, not for instances of classes. */
export const isPlainObject = (value: unknown): value is Record<string, unknown> => {
  if (!isRecord(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // By shape: an object of another realm has another Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
