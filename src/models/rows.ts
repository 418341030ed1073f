import type { QueryResultRow } from 'pg'

import { InvalidArgumentError } from '../errors.ts'
import { INSTANCE_METHODS } from './operations.ts'
import { tableOf } from './table.ts'
import type { Model } from './types.ts'
import { toNumber } from './values.ts'

type Fields = Record<string, unknown>

const numberColumns = (model: Model): readonly string[] =>
  model.columns === undefined
    ? []
    : Object.entries(model.columns).flatMap(([name, kind]) => (kind === 'number' ? [name] : []))

/** Makes instances of rows. They are filled after construction, so that class fields do not overwrite the values. */
export const toInstances = (model: Model, rows: readonly QueryResultRow[]): object[] => {
  const [first] = rows
  if (first === undefined) return []
  const Instance = model as unknown as new () => object
  const numbers = numberColumns(model)
  // All rows of a result have the same columns.
  const reserved = Object.keys(first).some((name) => INSTANCE_METHODS.has(name))
  return rows.map((row) => fill(new Instance(), row, numbers, reserved))
}

const fill = (
  instance: object,
  row: QueryResultRow,
  numbers: readonly string[],
  reserved: boolean,
): object => {
  const fields: Fields = row
  for (const name of numbers) if (name in fields) fields[name] = toNumber(fields[name])
  return Object.assign(instance, reserved ? withoutReserved(fields) : fields)
}

/** A column called like a method of the model must not replace it; `pluck` and `query` still read it. */
const withoutReserved = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !INSTANCE_METHODS.has(name)))

/** Puts the values of a fresh row into an instance. */
export const refill = (model: Model, instance: object, row: QueryResultRow): void => {
  fill(instance, row, numberColumns(model), true)
}

/** The class of an instance. */
export const modelOf = (instance: object): Model => instance.constructor as unknown as Model

/** The primary key that an instance has now, in the form that `find` takes. */
export const idOf = (instance: object): unknown => {
  const model = modelOf(instance)
  const { key } = tableOf(model)
  const fields = instance as Fields
  const missing = key.find((column) => fields[column] === undefined || fields[column] === null)
  if (missing !== undefined) {
    throw new InvalidArgumentError(
      `This ${model.name} has no ${missing}, so that its row cannot be named. Select it too`,
    )
  }
  return key.length === 1
    ? fields[key[0]!]
    : Object.fromEntries(key.map((column) => [column, fields[column]]))
}
