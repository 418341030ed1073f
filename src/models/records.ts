import type { TransactionOptions } from '../cluster/transaction.ts'
import { RecordNotFoundError } from '../errors.ts'
import { clusterOf, type WriteOptions } from './binding.ts'
import { changedColumns, forget, loadedId, remember, rowState } from './changes.ts'
import { modelOf, refill } from './rows.ts'
import { tableOf } from './table.ts'
import type { WriteModel } from './types.ts'
import { createRow, deleteOne, updateRow } from './writes.ts'

const classOf = (instance: object): WriteModel => modelOf(instance) as WriteModel

/** The transaction of a model's cluster. Async, so that a model that is bound wrongly rejects. */
export const transaction = async <T>(
  model: WriteModel,
  fn: () => Promise<T>,
  options?: TransactionOptions,
): Promise<T> => clusterOf(model).transaction(fn, options)

/** Writes what was changed in an instance, and `changes`; fills it with the row as the server returned it. */
export const save = async (
  instance: object,
  changes: object,
  options: WriteOptions | undefined,
): Promise<void> => {
  const model = classOf(instance)
  const state = rowState(instance)
  if (state === 'deleted') throw new RecordNotFoundError(model.name, tableOf(model).name)
  const row = await (state === 'new' ? insert : change)(model, instance, changes, options)
  if (row === undefined) return
  refill(model, instance, row)
  remember(instance, Object.keys(row))
}

type Step = (
  model: WriteModel,
  instance: object,
  changes: object,
  options: WriteOptions | undefined,
) => Promise<object | undefined>

/** Of an instance that has no row yet: fields that are not declared are there from the start, as `undefined`. */
const insert: Step = (model, instance, changes, options) => {
  const given = Object.entries({ ...instance, ...changes }).filter(
    ([, value]) => value !== undefined,
  )
  return createRow(model, Object.fromEntries(given), options)
}

const change: Step = async (model, instance, changes, options) => {
  const all = { ...changedColumns(instance), ...changes }
  if (Object.keys(all).length === 0) return undefined
  return updateRow(model, loadedId(instance), all, options)
}

/** Deletes the row that an instance was loaded from. */
export const destroy = async (
  instance: object,
  options: WriteOptions | undefined,
): Promise<boolean> => {
  const deleted = await deleteOne(classOf(instance), loadedId(instance), options)
  forget(instance)
  return deleted
}
