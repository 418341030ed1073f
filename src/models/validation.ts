import type { StandardSchemaV1 } from '@standard-schema/spec'

import { InvalidArgumentError, ValidationError, type ValidationIssue } from '../errors.ts'
import { fieldSchemas } from './field-schemas.ts'
import { isPlainObject } from './table.ts'
import type { WriteModel } from './types.ts'

type Values = Record<string, unknown>

/** Leaves out what was not given: an `undefined` is no value. */
const given = (values: unknown, model: WriteModel): Values => {
  if (!isPlainObject(values))
    throw new InvalidArgumentError(`${model.name} takes an object of columns and values`)
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

const toIssue = ({ message, path = [] }: StandardSchemaV1.Issue): ValidationIssue => ({
  message,
  path: path.map((step) => (typeof step === 'object' ? step.key : step)),
})

const run = async (
  schema: StandardSchemaV1,
  value: unknown,
): Promise<StandardSchemaV1.Result<unknown>> => schema['~standard'].validate(value)

/**
 * The values that an input for new rows stands for: what the schema makes of it, transformed and with defaults.
 *
 * @param at - where the input stands in an array of inputs, for the paths of issues.
 */
export const validNew = async (
  model: WriteModel,
  input: unknown,
  at: readonly number[] = [],
): Promise<Values> => {
  const { schema } = model
  if (schema === undefined) return given(input, model)
  const result = await run(schema, input)
  if (result.issues === undefined) return given(result.value, model)
  throw new ValidationError(
    model.name,
    result.issues.map(toIssue).map(({ message, path }) => ({ message, path: [...at, ...path] })),
  )
}

/**
 * The values that an input for existing rows stands for. Only given keys are among them, and none of them
 * vanishes: one that the schema does not keep is an issue.
 */
export const validChanges = async (model: WriteModel, input: unknown): Promise<Values> => {
  const changes = given(input, model)
  const { schema, updateSchema } = model
  if (updateSchema !== undefined) {
    const result = await run(updateSchema, changes)
    if (result.issues !== undefined)
      throw new ValidationError(model.name, result.issues.map(toIssue))
    return onlyGiven(result.value, changes, model)
  }
  return schema === undefined ? changes : validPart(model, schema, changes)
}

/** A schema's default, for a key that was not given, must not overwrite the column. */
const onlyGiven = (value: unknown, changes: Values, model: WriteModel): Values => {
  const kept = given(value, model)
  refuseUnknown(
    model,
    Object.keys(changes).filter((key) => !Object.hasOwn(value as object, key)),
  )
  return Object.fromEntries(Object.entries(kept).filter(([key]) => Object.hasOwn(changes, key)))
}

const refuseUnknown = (model: WriteModel, keys: readonly string[]): void => {
  if (keys.length === 0) return
  const message = 'The schema does not keep this key, so that it cannot be changed'
  throw new ValidationError(
    model.name,
    keys.map((key) => ({ message, path: [key] })),
  )
}

/** Runs a schema for whole rows on a part of one: issues about keys that were not given do not count. */
const validPart = async (
  model: WriteModel,
  schema: StandardSchemaV1,
  changes: Values,
): Promise<Values> => {
  const result = await run(schema, changes)
  if (result.issues === undefined) return onlyGiven(result.value, changes, model)
  const issues = result.issues
    .filter((issue) => keysOf(issue).some((key) => Object.hasOwn(changes, key)))
    .map(toIssue)
  if (issues.length > 0) throw new ValidationError(model.name, issues)
  return transformed(model, schema, changes)
}

/** The keys of the row that an issue is about. zod lists unrecognised ones beside an empty path. */
const keysOf = (issue: StandardSchemaV1.Issue): readonly PropertyKey[] => {
  const [key] = toIssue(issue).path
  if (key !== undefined) return [key]
  const keys: unknown = Reflect.get(issue, 'keys')
  return Array.isArray(keys) ? keys.map(String) : []
}

/**
 * A schema that misses other keys gives no value. Where it can name the schemas of its fields these give
 * the transformed values.
 */
const transformed = async (
  model: WriteModel,
  schema: StandardSchemaV1,
  changes: Values,
): Promise<Values> => {
  const schemaOf = fieldSchemas(schema)
  if (schemaOf === undefined) return changes
  refuseUnknown(
    model,
    Object.keys(changes).filter((key) => schemaOf(key) === undefined),
  )
  const values: Values = {}
  for (const [key, value] of Object.entries(changes)) {
    const field = schemaOf(key)
    const result = field === undefined || field === 'any' ? { value } : await run(field, value)
    if (result.issues !== undefined) {
      throw new ValidationError(
        model.name,
        result.issues.map(toIssue).map(({ message, path }) => ({ message, path: [key, ...path] })),
      )
    }
    if (result.value !== undefined) values[key] = result.value
  }
  return values
}
