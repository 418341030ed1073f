import type { StandardSchemaV1 } from '@standard-schema/spec'

import type { TransactionOptions } from '../cluster/transaction.ts'
import { StrictWriteModelError } from '../errors.ts'
import type { ClusterSource, WriteOptions } from './binding.ts'
import {
  WRITE_INSTANCE_REFUSES,
  WRITE_REFUSES,
  type RefusedByWrite,
  type WriteInstanceRefused,
  type WriteRefused,
} from './operations.ts'
import * as records from './records.ts'
import { refusing } from './refusal.ts'
import type {
  Attributes,
  Column,
  ColumnKind,
  CreateInput,
  Id,
  UpdateInput,
  Where,
  WriteModel,
} from './types.ts'
import * as writes from './writes.ts'

const Refusing = refusing<WriteRefused, WriteInstanceRefused, RefusedByWrite>(
  { class: WRITE_REFUSES, instance: WRITE_INSTANCE_REFUSES },
  (operation) => new StrictWriteModelError(operation),
)

/**
 * The base of write models: a table that is written on the primary. Every reading name does not
 * compile and rejects with {@link StrictWriteModelError} in JavaScript, before anything is sent.
 *
 * Values that the database refuses come as `UniqueViolationError`, `ForeignKeyViolationError`,
 * `NotNullViolationError`, `CheckViolationError` or `InvalidValueError`.
 *
 * @example
 * class PostCommand extends StrictWriteBase {
 *   static override tableName = 'posts'
 *   static override schema = z.object({ title: z.string().min(1), content: z.string().nullish() })
 *   declare id: string
 *   declare title: string
 *   declare content: string | null
 * }
 * const post = await PostCommand.create({ title: 'Hello' })
 * post.title = 'Hello again'
 * await post.save()
 */
export abstract class StrictWriteBase extends Refusing {
  /** The table, with its schema where needed: `posts`, `app.posts`. */
  static tableName: string = ''
  /** The column of the primary key, or the columns of a composite one (`['a', 'b'] as const`). @defaultValue `'id'` */
  static primaryKey: string | readonly string[] = 'id'
  /** The kinds of columns. @defaultValue learned from the catalogue on first use */
  static columns: Readonly<Record<string, ColumnKind>> | undefined = undefined
  /** The cluster that is written, or a function that gives it. @defaultValue the default cluster */
  static cluster: ClusterSource | undefined = undefined
  /** Checks input for new rows before anything is sent: any Standard Schema, such as zod, valibot, arktype. */
  static schema: StandardSchemaV1 | undefined = undefined
  /**
   * Checks input for updates. A given key that it does not keep is refused, never left out silently.
   *
   * @defaultValue `schema`, of which only what concerns the given keys counts
   */
  static updateSchema: StandardSchemaV1 | undefined = undefined
  /** Sets `updated_at`, or the column named here, to the present time with each write. @defaultValue `false` */
  static timestamps: boolean | string = false

  /** Inserts a row and gives it as the database has it. @throws ValidationError when the schema refuses the input. */
  static create<M extends WriteModel>(
    this: M,
    input: CreateInput<M>,
    options?: WriteOptions,
  ): Promise<InstanceType<M>> {
    return writes.create(this, input, options) as Promise<InstanceType<M>>
  }

  /** Inserts any number of rows, all or none, and gives them in the same order. */
  static insertAll<M extends WriteModel>(
    this: M,
    inputs: readonly CreateInput<M>[],
    options?: WriteOptions,
  ): Promise<InstanceType<M>[]> {
    return writes.insertAll(this, inputs, options) as Promise<InstanceType<M>[]>
  }

  /**
   * Inserts a row, or changes the one that is there already (`onConflict: 'ignore'`: leaves it, and gives `null`).
   *
   * @example
   * await TagCommand.upsert({ name: 'sql', colour: 'blue' }, { target: 'name' })
   */
  static upsert<M extends WriteModel>(
    this: M,
    input: CreateInput<M>,
    options: writes.UpsertOptions<Column<M>> & { readonly onConflict: 'ignore' },
  ): Promise<InstanceType<M> | null>
  static upsert<M extends WriteModel>(
    this: M,
    input: CreateInput<M>,
    options?: writes.UpsertOptions<Column<M>> & { readonly onConflict?: 'update' },
  ): Promise<InstanceType<M>>
  static upsert<M extends WriteModel>(
    this: M,
    input: CreateInput<M>,
    options?: writes.UpsertOptions,
  ): Promise<unknown> {
    return writes.upsert(this, input, options)
  }

  /**
   * Changes the row with this primary key and gives it.
   *
   * @throws RecordNotFoundError when there is none.
   * @throws ValidationError when the schema refuses a value, or does not keep a given key.
   */
  static update<M extends WriteModel>(
    this: M,
    id: Id<M>,
    changes: UpdateInput<M>,
    options?: WriteOptions,
  ): Promise<InstanceType<M>> {
    return writes.update(this, id, changes, options) as Promise<InstanceType<M>>
  }

  /** Changes all rows for which the condition holds; gives how many. @throws InvalidArgumentError when the condition is empty. */
  static updateAll<M extends WriteModel>(
    this: M,
    where: Where<M>,
    changes: UpdateInput<M>,
    options?: WriteOptions,
  ): Promise<number> {
    return writes.updateAll(this, where, changes, options)
  }

  /** Deletes the row with this primary key; gives whether it was there. */
  static delete<M extends WriteModel>(
    this: M,
    id: Id<M>,
    options?: WriteOptions,
  ): Promise<boolean> {
    return writes.deleteOne(this, id, options)
  }

  /** Deletes all rows for which the condition holds; gives how many. @throws InvalidArgumentError when the condition is empty. */
  static deleteAll<M extends WriteModel>(
    this: M,
    where: Where<M>,
    options?: WriteOptions,
  ): Promise<number> {
    return writes.deleteAll(this, where, options)
  }

  /** Adds to a column, in the database, and gives the row. @throws RecordNotFoundError when there is none. */
  static increment<M extends WriteModel>(
    this: M,
    id: Id<M>,
    column: Column<M>,
    by: number | bigint | string = 1,
    options?: WriteOptions,
  ): Promise<InstanceType<M>> {
    return writes.increment(this, id, column, by, options) as Promise<InstanceType<M>>
  }

  /** Runs `fn` in a transaction on the primary: models and pools used inside join it. */
  static transaction<T>(
    this: WriteModel,
    fn: () => Promise<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    return records.transaction(this, fn, options)
  }

  /**
   * Locks the row with this primary key (SELECT … FOR UPDATE) and runs `fn` with it, in one transaction.
   *
   * @throws RecordNotFoundError when there is no such row.
   * @example
   * await AccountCommand.lock(id, async (account) => account.update({ balance: account.balance - 10 }))
   */
  static lock<M extends WriteModel, T>(
    this: M,
    id: Id<M>,
    fn: (row: InstanceType<M>) => Promise<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    const locked = async (): Promise<T> => fn((await writes.lockRow(this, id)) as InstanceType<M>)
    return records.transaction(this, locked, options)
  }

  /** Writes the columns that were changed; inserts the row when it is new. Sends nothing when there is no change. */
  async save(options?: WriteOptions): Promise<this> {
    await records.save(this, {}, options)
    return this
  }

  /** Changes these columns, and those that were changed before, in one statement. */
  async update(changes: Partial<Attributes<this>>, options?: WriteOptions): Promise<this> {
    await records.save(this, changes, options)
    return this
  }

  /** Deletes this row; gives whether it was there. */
  destroy(options?: WriteOptions): Promise<boolean> {
    return records.destroy(this, options)
  }
}
