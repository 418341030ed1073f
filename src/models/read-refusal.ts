import { StrictReadModelError } from '../errors.ts'
import { READ_REFUSES, type ReadRefused, type RefusedByRead } from './operations.ts'
import { refusing } from './refusal.ts'

const refuse = (operation: string): StrictReadModelError => new StrictReadModelError(operation)

/** What read models extend: their class and their instances refuse every writing name. */
export const WriteRefusingModel = refusing<ReadRefused, ReadRefused, RefusedByRead>(
  { class: READ_REFUSES, instance: READ_REFUSES },
  refuse,
)

/** What queries of read models extend. */
export const WriteRefusingQuery = refusing<ReadRefused, ReadRefused, RefusedByRead>(
  { class: [], instance: READ_REFUSES },
  refuse,
)
