import type { Knex } from 'knex'
import type { QueryResultRow } from 'pg'

import type { CallOptions } from '../cluster/statement.ts'
import type { ClusterSource } from './binding.ts'
import type { BatchOptions, PageOptions, StreamOptions } from './pages.ts'
import { ReadQuery } from './read-query.ts'
import { WriteRefusingModel } from './read-refusal.ts'
import { reload, type Selected } from './reads.ts'
import type {
  Column,
  ColumnKind,
  Direction,
  Id,
  Page,
  ReadModel,
  Row,
  Total,
  Where,
} from './types.ts'

/**
 * The base of read models: a table that is read from replicas and never written. Every writing name
 * does not compile and rejects with `StrictReadModelError` in JavaScript, before anything is sent.
 *
 * A mistake in a call (an `undefined` in a condition, an unknown column) always comes as a rejection
 * with `InvalidArgumentError`, never as a synchronous throw.
 *
 * @example
 * class PostQuery extends StrictReadBase {
 *   static override tableName = 'posts'
 *   declare id: string
 *   declare title: string
 * }
 * const post = await PostQuery.find(id)
 * const posts = await PostQuery.where({ title: 'Hello' }).orderBy('id', 'desc').limit(20)
 */
export abstract class StrictReadBase extends WriteRefusingModel {
  /** The table, with its schema where needed: `posts`, `app.posts`. */
  static tableName: string = ''
  /** The column of the primary key, or the columns of a composite one (`['a', 'b'] as const`). @defaultValue `'id'` */
  static primaryKey: string | readonly string[] = 'id'
  /** The kinds of columns. @defaultValue learned from the catalogue on first use */
  static columns: Readonly<Record<string, ColumnKind>> | undefined = undefined
  /** The cluster that is read, or a function that gives it. @defaultValue the default cluster */
  static cluster: ClusterSource | undefined = undefined

  /** All rows; a query to go on with. */
  static all<M extends ReadModel>(this: M): ReadQuery<M> {
    return new ReadQuery(this)
  }

  /** Rows for which every key holds: `null` means IS NULL, an array any of its values. */
  static where<M extends ReadModel>(this: M, where: Where<M>): ReadQuery<M> {
    return new ReadQuery(this).where(where)
  }

  /** Rows sorted by a column. */
  static orderBy<M extends ReadModel>(
    this: M,
    column: Column<M>,
    direction: Direction = 'asc',
  ): ReadQuery<M> {
    return new ReadQuery(this).orderBy(column, direction)
  }

  /** At most this many rows. */
  static limit<M extends ReadModel>(this: M, count: number): ReadQuery<M> {
    return new ReadQuery(this).limit(count)
  }

  /** All rows after this many. */
  static offset<M extends ReadModel>(this: M, count: number): ReadQuery<M> {
    return new ReadQuery(this).offset(count)
  }

  /** These columns only. */
  static select<M extends ReadModel, K extends Column<M>>(
    this: M,
    ...columns: readonly [K, ...K[]]
  ): ReadQuery<M, Pick<InstanceType<M>, K>> {
    return new ReadQuery(this).select(...columns)
  }

  /**
   * Where and for how long a read may run.
   *
   * @example
   * await PostQuery.with({ using: 'analytics', timeoutMs: 5_000 }).count()
   */
  static with<M extends ReadModel>(this: M, options: CallOptions): ReadQuery<M> {
    return new ReadQuery(this).with(options)
  }

  /** The row with this primary key. @throws RecordNotFoundError when there is none. */
  static find<M extends ReadModel>(this: M, id: Id<M>): Promise<InstanceType<M>> {
    return new ReadQuery(this).find(id)
  }

  /** The first row for which the condition holds, or `null`. */
  static findBy<M extends ReadModel>(this: M, where: Where<M>): Promise<InstanceType<M> | null> {
    return new ReadQuery(this).findBy(where)
  }

  /** The first row by the primary key or `null`; the first rows when a count is given. */
  static first<M extends ReadModel>(this: M): Promise<InstanceType<M> | null>
  static first<M extends ReadModel>(this: M, count: number): Promise<InstanceType<M>[]>
  static first<M extends ReadModel>(this: M, count?: number): Promise<unknown> {
    return count === undefined ? new ReadQuery(this).first() : new ReadQuery(this).first(count)
  }

  /** The last row by the primary key or `null`; the last rows, in ascending order, when a count is given. */
  static last<M extends ReadModel>(this: M): Promise<InstanceType<M> | null>
  static last<M extends ReadModel>(this: M, count: number): Promise<InstanceType<M>[]>
  static last<M extends ReadModel>(this: M, count?: number): Promise<unknown> {
    return count === undefined ? new ReadQuery(this).last() : new ReadQuery(this).last(count)
  }

  /** The values of one column, or arrays of the values of several. */
  static pluck<M extends ReadModel, K extends Column<M>>(this: M, column: K): Promise<Row<M>[K][]>
  static pluck<M extends ReadModel, const Ks extends readonly Column<M>[]>(
    this: M,
    ...columns: Ks
  ): Promise<{ -readonly [I in keyof Ks]: Row<M>[Ks[I]] }[]>
  static pluck<M extends ReadModel>(this: M, ...columns: Column<M>[]): Promise<unknown[]> {
    return new ReadQuery(this).pluck(...columns)
  }

  /** Whether there is any row, or any for which the condition holds. */
  static exists<M extends ReadModel>(this: M, where?: Where<M>): Promise<boolean> {
    return new ReadQuery(this).exists(where)
  }

  /** How many rows there are. */
  static count(this: ReadModel): Promise<number> {
    return new ReadQuery(this).count()
  }

  /** The sum of a column, 0 of no rows. Exact types stay strings unless the column's kind is `number`. */
  static sum<M extends ReadModel, K extends Column<M>>(this: M, column: K): Promise<Total<M, K>> {
    return new ReadQuery(this).sum(column)
  }

  /** The average of a column, `null` of no rows. Exact types stay strings unless the column's kind is `number`. */
  static average<M extends ReadModel, K extends Column<M>>(
    this: M,
    column: K,
  ): Promise<Total<M, K> | null> {
    return new ReadQuery(this).average(column)
  }

  /** The smallest value of a column, `null` of no rows. */
  static minimum<M extends ReadModel, K extends Column<M>>(
    this: M,
    column: K,
  ): Promise<Row<M>[K] | null> {
    return new ReadQuery(this).minimum(column)
  }

  /** The largest value of a column, `null` of no rows. */
  static maximum<M extends ReadModel, K extends Column<M>>(
    this: M,
    column: K,
  ): Promise<Row<M>[K] | null> {
    return new ReadQuery(this).maximum(column)
  }

  /**
   * One page and the cursor of the next; ties are broken by the primary key.
   *
   * @example
   * const { rows, next } = await PostQuery.orderBy('created_at', 'desc').paginate({ limit: 20 })
   * const second = await PostQuery.orderBy('created_at', 'desc').paginate({ limit: 20, after: next })
   */
  static paginate<M extends ReadModel>(
    this: M,
    options?: PageOptions,
  ): Promise<Page<InstanceType<M>>> {
    return new ReadQuery(this).paginate(options)
  }

  /** All rows one by one; memory holds one page of them. */
  static stream<M extends ReadModel>(
    this: M,
    options?: StreamOptions,
  ): AsyncGenerator<InstanceType<M>, void, undefined> {
    return new ReadQuery(this).stream(options)
  }

  /** All rows in arrays; memory holds one of them. */
  static inBatches<M extends ReadModel>(
    this: M,
    options?: BatchOptions,
  ): AsyncGenerator<InstanceType<M>[], void, undefined> {
    return new ReadQuery(this).inBatches(options)
  }

  /**
   * What a Knex builder selects; it starts with the model's table. Rows are plain objects.
   * Builders that write or lock, nested ones too, are refused before anything is sent.
   *
   * @example
   * await PostQuery.query((qb) => qb.whereILike('title', '%sql%').select('id', 'title'))
   */
  static query<M extends ReadModel, Built>(
    this: M,
    build: (builder: Knex.QueryBuilder<Row<M> & object, Row<M>[]>) => Built,
  ): Promise<Selected<M, Built>> {
    return new ReadQuery(this).query(build)
  }

  /**
   * Rows of SQL of your own, as plain objects; every value of the template is a binding. SQL that
   * writes is refused by the server.
   *
   * @example
   * await PostQuery.sql<{ n: string }>`select count(*) as n from posts where title like ${pattern}`
   */
  static sql<M extends ReadModel>(
    this: M,
    strings: TemplateStringsArray,
    ...values: readonly unknown[]
  ): Promise<Row<M>[]>
  static sql<R extends QueryResultRow>(
    this: ReadModel,
    strings: TemplateStringsArray,
    ...values: readonly unknown[]
  ): Promise<R[]>
  static sql(
    this: ReadModel,
    strings: TemplateStringsArray,
    ...values: readonly unknown[]
  ): Promise<unknown[]> {
    return new ReadQuery(this).sql(strings, ...values)
  }

  /** Reads this row again, by its primary key. @throws RecordNotFoundError when it is gone. */
  async reload(): Promise<this> {
    await reload(this)
    return this
  }
}
