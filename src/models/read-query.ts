import type { Knex } from 'knex'
import type { QueryResultRow } from 'pg'

import type { CallOptions } from '../cluster/statement.ts'
import { InvalidArgumentError } from '../errors.ts'
import { condition } from './conditions.ts'
import * as pages from './pages.ts'
import { compileTemplate } from './raw.ts'
import { callOptions, columnList, EMPTY, order, rowCount, type ReadState } from './read-state.ts'
import * as reads from './reads.ts'
import { WriteRefusingQuery } from './read-refusal.ts'
import type { Column, Direction, Id, Page, ReadModel, Row, Total, Where } from './types.ts'

/**
 * A query of a read model. It never changes: each step gives a new one. Awaiting it sends it, and
 * awaiting it again sends it again. A mistake in any step comes as a rejection when it is sent.
 *
 * @example
 * const recent = PostQuery.where({ published: true }).orderBy('created_at', 'desc')
 * const posts = await recent.limit(20)
 * const titles = await recent.pluck('title')
 */
export class ReadQuery<M extends ReadModel, Item = InstanceType<M>>
  extends WriteRefusingQuery
  implements PromiseLike<Item[]>
{
  readonly #model: M
  readonly #state: ReadState

  /** @internal */
  constructor(model: M, state: ReadState = EMPTY) {
    super()
    this.#model = model
    this.#state = state
  }

  #next<To = Item>(change: () => Partial<ReadState>): ReadQuery<M, To> {
    const state = this.#state
    if (state.mistake !== undefined) return new ReadQuery<M, To>(this.#model, state)
    try {
      return new ReadQuery<M, To>(this.#model, { ...state, ...change() })
    } catch (mistake) {
      return new ReadQuery<M, To>(this.#model, { ...state, mistake })
    }
  }

  /** Rows for which every key holds, besides the conditions so far. */
  where(where: Where<M>): ReadQuery<M, Item> {
    return this.#next(() => ({ conditions: [...this.#state.conditions, condition(where)] }))
  }

  /** Sorts by one more column. */
  orderBy(column: Column<M>, direction: Direction = 'asc'): ReadQuery<M, Item> {
    return this.#next(() => ({ orders: [...this.#state.orders, order(column, direction)] }))
  }

  /** At most this many rows. */
  limit(count: number): ReadQuery<M, Item> {
    return this.#next(() => ({ limit: rowCount(count, 'limit') }))
  }

  /** Leaves out this many rows first. */
  offset(count: number): ReadQuery<M, Item> {
    return this.#next(() => ({ offset: rowCount(count, 'offset') }))
  }

  /** Reads these columns only. */
  select<K extends Column<M>>(
    ...columns: readonly [K, ...K[]]
  ): ReadQuery<M, Pick<InstanceType<M>, K>> {
    return this.#next(() => ({ columns: columnList(columns, 'select') }))
  }

  /** Where and for how long this query may run. */
  with(options: CallOptions): ReadQuery<M, Item> {
    return this.#next(() => ({ options: { ...this.#state.options, ...callOptions(options) } }))
  }

  /** This query: awaiting it gives all rows. */
  all(): ReadQuery<M, Item> {
    return this
  }

  /** Sends the query: `await query` calls this. */
  // oxlint-disable-next-line unicorn/no-thenable -- a query is awaited like a promise
  then<A = Item[], B = never>(
    fulfilled?: ((rows: Item[]) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return (reads.rows(this.#model, this.#state) as Promise<Item[]>).then(fulfilled, rejected)
  }

  /** Sends the query, as `then` does. */
  catch<B = never>(
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<Item[] | B> {
    return this.then(undefined, rejected)
  }

  /** Sends the query, as `then` does. */
  finally(settled?: (() => void) | null): Promise<Item[]> {
    return this.then().finally(settled)
  }

  /** The row with this primary key. @throws RecordNotFoundError when there is none among the rows of this query. */
  find(id: Id<M>): Promise<Item> {
    return reads.find(this.#model, this.#state, id) as Promise<Item>
  }

  /** The first row for which the condition holds, or `null`. */
  async findBy(where: Where<M>): Promise<Item | null> {
    return this.where(where).#one()
  }

  async #one(): Promise<Item | null> {
    const [row] = await this.limit(1)
    return row ?? null
  }

  /** The first row or rows, by the primary key when no order was given. */
  first(): Promise<Item | null>
  first(count: number): Promise<Item[]>
  async first(count?: number): Promise<Item | null | Item[]> {
    const rows = (await reads.first(this.#model, this.#state, count ?? 1)) as Item[]
    return count === undefined ? (rows[0] ?? null) : rows
  }

  /** The last row or rows, in the order of the query. */
  last(): Promise<Item | null>
  last(count: number): Promise<Item[]>
  async last(count?: number): Promise<Item | null | Item[]> {
    const rows = (await reads.last(this.#model, this.#state, count ?? 1)) as Item[]
    return count === undefined ? (rows[0] ?? null) : rows
  }

  /** The values of one column, or arrays of the values of several. */
  pluck<K extends Column<M>>(column: K): Promise<Row<M>[K][]>
  pluck<const Ks extends readonly Column<M>[]>(
    ...columns: Ks
  ): Promise<{ -readonly [I in keyof Ks]: Row<M>[Ks[I]] }[]>
  pluck(...columns: string[]): Promise<unknown[]> {
    return reads.pluck(this.#model, this.#state, columns)
  }

  /** Whether there is any row. */
  async exists(where?: Where<M>): Promise<boolean> {
    return where === undefined ? reads.exists(this.#model, this.#state) : this.where(where).exists()
  }

  /** How many rows there are. */
  count(): Promise<number> {
    return reads.count(this.#model, this.#state)
  }

  /** The sum of a column; 0 of no rows. Exact types stay strings unless the column's kind is `number`. */
  sum<K extends Column<M>>(column: K): Promise<Total<M, K>> {
    return reads.sum(this.#model, this.#state, column) as Promise<Total<M, K>>
  }

  /** The average of a column, `null` of no rows. Exact types stay strings unless the column's kind is `number`. */
  average<K extends Column<M>>(column: K): Promise<Total<M, K> | null> {
    return reads.aggregate(this.#model, this.#state, 'avg', column) as Promise<Total<M, K> | null>
  }

  /** The smallest value of a column, `null` of no rows. */
  minimum<K extends Column<M>>(column: K): Promise<Row<M>[K] | null> {
    return reads.aggregate(this.#model, this.#state, 'min', column) as Promise<Row<M>[K] | null>
  }

  /** The largest value of a column, `null` of no rows. */
  maximum<K extends Column<M>>(column: K): Promise<Row<M>[K] | null> {
    return reads.aggregate(this.#model, this.#state, 'max', column) as Promise<Row<M>[K] | null>
  }

  /** One page, and the cursor of the next. Ties are broken by the primary key. */
  paginate(options: pages.PageOptions = {}): Promise<Page<Item>> {
    return pages.paginate(this.#model, this.#state, options) as Promise<Page<Item>>
  }

  /** The rows one by one; memory holds one page of them. */
  stream(options: pages.StreamOptions = {}): AsyncGenerator<Item, void, undefined> {
    return pages.stream(this.#model, this.#state, options) as AsyncGenerator<Item, void, undefined>
  }

  /** The rows in arrays; memory holds one of them. */
  inBatches(options: pages.BatchOptions = {}): AsyncGenerator<Item[], void, undefined> {
    return pages.inBatches(this.#model, this.#state, options) as AsyncGenerator<
      Item[],
      void,
      undefined
    >
  }

  /** What a Knex builder selects; it starts with this query's table and conditions. Rows are plain objects. */
  query<Built>(
    build: (builder: Knex.QueryBuilder<Row<M> & object, Row<M>[]>) => Built,
  ): Promise<reads.Selected<M, Built>> {
    return reads.query(
      this.#model,
      this.#state,
      build as (builder: Knex.QueryBuilder) => unknown,
    ) as Promise<reads.Selected<M, Built>>
  }

  /** Rows of SQL of your own; every value of the template is a binding. Rows are plain objects. */
  async sql<R extends QueryResultRow = Row<M>>(
    strings: TemplateStringsArray,
    ...values: readonly unknown[]
  ): Promise<R[]> {
    const { options, mistake } = this.#state
    const whole = { ...EMPTY, options, mistake }
    if (
      Object.keys(whole).some(
        (key) => this.#state[key as keyof ReadState] !== whole[key as keyof ReadState],
      )
    ) {
      throw new InvalidArgumentError(
        'sql is a whole statement: of the other methods only with() may stand before it',
      )
    }
    return reads.sql<R>(this.#model, whole, compileTemplate(strings, values))
  }
}
