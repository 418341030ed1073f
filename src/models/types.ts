import type { StandardSchemaV1 } from '@standard-schema/spec'

import type { ClusterSource } from './binding.ts'
import type { Refused } from './operations.ts'

/**
 * How the values of a column are handled: `number` makes JavaScript numbers of exact types
 * (`bigint`, `numeric`), `exact` leaves them as strings, `json` takes any JSON value.
 */
export const COLUMN_KINDS = [
  'text',
  'number',
  'exact',
  'boolean',
  'date',
  'json',
  'array',
  'bytes',
  'other',
] as const
/** How the values of one column are handled. */
export type ColumnKind = (typeof COLUMN_KINDS)[number]

/** What every model class says about its table. */
interface ModelStatics {
  /** The name of the class, for messages. */
  readonly name: string
  /** The table, with its schema where needed. */
  readonly tableName: string
  /** The column of the primary key, or the columns of a composite one. */
  readonly primaryKey: string | readonly string[]
  /** The kinds of columns; `undefined`: learned from the catalogue. */
  readonly columns: Readonly<Record<string, ColumnKind>> | undefined
  /** The model's cluster; `undefined`: the default one. */
  readonly cluster: ClusterSource | undefined
}

/** Any model class. */
export type Model = ModelStatics & (abstract new () => object)
/** The class of a read model. */
export type ReadModel = Model
/** The class of a write model. */
export type WriteModel = Model & {
  /** Checks input for new rows. */
  readonly schema: StandardSchemaV1 | undefined
  /** Checks input for updates. */
  readonly updateSchema: StandardSchemaV1 | undefined
  /** Whether each write sets `updated_at`, or the column named here. */
  readonly timestamps: boolean | string
}

/** The columns that a class declares: its fields, without methods and refused names. */
export type Attributes<Instance> = {
  [
    K in keyof Instance as Instance[K] extends Refused<string> | ((...args: never) => unknown)
      ? never
      : K
  ]: Instance[K]
}

/** The columns of a model class. */
export type Row<M extends Model> = Attributes<InstanceType<M>>

/** The names of a model's columns. */
export type Column<M extends Model> = keyof Row<M> & string

/**
 * A condition: every key must hold. `null` means IS NULL, an array means any of its values
 * (on `json` and `array` columns a value of the column). `undefined` is refused.
 */
export type Where<M extends Model> = {
  readonly [K in keyof Row<M>]?: Row<M>[K] | readonly (Row<M>[K] | null)[] | null
}

/** A value of a key column whose type is not declared. */
export type KeyValue = string | number | bigint | boolean | Date | Buffer

type CompositeId<M extends Model, Key> = string extends Key
  ? Readonly<Record<string, KeyValue>>
  : { readonly [K in Key & keyof Row<M>]: NonNullable<Row<M>[K]> }

type SingleId<M extends Model, Key> = Key extends keyof Row<M> ? NonNullable<Row<M>[Key]> : KeyValue

/** A primary key: the value of one column, or an object with the values of all of a composite key. */
export type Id<M extends Model> = [string | readonly string[]] extends [M['primaryKey']]
  ? SingleId<M, 'id'>
  : M['primaryKey'] extends readonly (infer Key)[]
    ? CompositeId<M, Key>
    : SingleId<M, M['primaryKey']>

/** In brackets: a class that sets no schema has the union of the base, which must not be distributed. */
type InputOf<Schema, Otherwise> = [Schema] extends [StandardSchemaV1]
  ? StandardSchemaV1.InferInput<Schema>
  : Otherwise

/** What `create` takes: the schema's input, or any columns. */
export type CreateInput<M extends WriteModel> = InputOf<M['schema'], Partial<Row<M>>>

/** What `update` takes: the input of `updateSchema`, or a part of the schema's, or any columns. */
export type UpdateInput<M extends WriteModel> = InputOf<M['updateSchema'], Partial<CreateInput<M>>>

/** What `sum` and `average` give: a number for columns of kind `number`; exact types stay strings. */
export type Total<M extends Model, K extends string> =
  M['columns'] extends Readonly<Record<K, 'number'>>
    ? number
    : Row<M>[K & keyof Row<M>] extends string | null
      ? string
      : string | number

/** Ascending or descending. */
export type Direction = 'asc' | 'desc'

/** One page of `paginate`. */
export interface Page<Item> {
  /** The rows of this page, in the order of the query. */
  readonly rows: Item[]
  /** Give it as `after` to get the next page; `null` on the last one. */
  readonly next: string | null
}
