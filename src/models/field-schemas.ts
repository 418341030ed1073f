import type { StandardSchemaV1 } from '@standard-schema/spec'

/** The schema of one key of a row, `'any'` for a key that is kept unchecked, `undefined` for one that is not kept. */
type FieldSchema = StandardSchemaV1 | 'any' | undefined

/**
 * What a schema for objects says about single keys. Standard Schema has no words for that: this knows
 * where zod and valibot keep it. `undefined` for other schemas.
 */
export const fieldSchemas = (schema: object): ((key: string) => FieldSchema) | undefined => {
  const fields = property(schema, 'shape') ?? property(schema, 'entries')
  if (!isObject(fields)) return undefined
  const rest = restOf(schema)
  return (key) => {
    const field = Object.hasOwn(fields, key) ? property(fields, key) : undefined
    return isSchema(field) ? field : rest
  }
}

/** The schema of the keys that have none of their own. */
const restOf = (schema: object): FieldSchema => {
  // valibot: looseObject, objectWithRest.
  if (property(schema, 'type') === 'loose_object') return 'any'
  const rest = property(schema, 'rest')
  if (isSchema(rest)) return rest
  // zod 4 has one catchall for all of them; zod 3 has `unknownKeys` beside it.
  const definition = property(schema, 'def') ?? property(schema, '_def')
  if (property(definition, 'unknownKeys') === 'passthrough') return 'any'
  const catchall = property(definition, 'catchall')
  return isSchema(catchall) && !isNever(catchall) ? catchall : undefined
}

const isNever = (schema: object): boolean =>
  property(property(schema, 'def'), 'type') === 'never' ||
  property(property(schema, '_def'), 'typeName') === 'ZodNever'

const isSchema = (value: unknown): value is StandardSchemaV1 =>
  isObject(value) && '~standard' in value

const isObject = (value: unknown): value is object =>
  (typeof value === 'object' || typeof value === 'function') && value !== null

const property = (value: unknown, name: string): unknown =>
  isObject(value) ? Reflect.get(value, name) : undefined
