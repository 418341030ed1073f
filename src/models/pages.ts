import type { QueryResultRow } from 'pg'

import { checkOptionNames } from '../cluster/option-names.ts'
import { InvalidArgumentError } from '../errors.ts'
import { CURSOR, decodeCursor, encodeCursor, pageOrder, selectPage, type Place } from './keyset.ts'
import { rowCount, type ReadState } from './read-state.ts'
import { toInstances } from './rows.ts'
import { beginRead } from './run.ts'
import { namesIn, selectRows } from './select.ts'
import { tableOf } from './table.ts'
import type { Page, ReadModel } from './types.ts'

const PAGE_SIZE = 100
const BATCH_SIZE = 1_000

/** What `paginate` takes. */
export interface PageOptions {
  /** The `next` of the page before; absent or `null` for the first page. */
  readonly after?: string | null | undefined
  /** How many rows a page has. @defaultValue the query's own limit, else 100 */
  readonly limit?: number | undefined
}

/** What `inBatches` takes. */
export interface BatchOptions {
  /** How many rows a batch has. @defaultValue `1_000` */
  readonly size?: number | undefined
}

/** What `stream` takes. */
export interface StreamOptions {
  /** How many rows are fetched at once. @defaultValue `1_000` */
  readonly pageSize?: number | undefined
}

const withoutPlace = (row: QueryResultRow): QueryResultRow =>
  Object.fromEntries(Object.entries(row).filter(([name]) => name !== CURSOR))

export const paginate = async (
  model: ReadModel,
  state: ReadState,
  options: PageOptions,
): Promise<Page<object>> => {
  checkOptionNames('paginate()', options, ['after', 'limit'])
  if (state.offset !== undefined)
    throw new InvalidArgumentError('paginate() goes by cursor: leave offset() out')
  const table = tableOf(model)
  const limit = rowCount(options.limit ?? state.limit ?? PAGE_SIZE, 'The limit of a page', 1)
  const orders = pageOrder(table, state.orders)
  const after =
    options.after === undefined || options.after === null
      ? undefined
      : decodeCursor(table, orders, options.after)
  const call = beginRead(model, state)
  const columns = await call.columns(namesIn({ ...state, orders }))
  const { rows } = await call.run<QueryResultRow>(
    selectPage(table, state, columns, orders, { after, limit }),
  )
  const page = rows.slice(0, limit)
  const place = page.at(-1)?.[CURSOR] as Place | undefined
  const next =
    rows.length > limit && place !== undefined ? encodeCursor(table, orders, place) : null
  return {
    rows: toInstances(model, page.map(withoutPlace)),
    next,
  }
}

export const inBatches = async function* (
  model: ReadModel,
  state: ReadState,
  options: BatchOptions,
): AsyncGenerator<object[], void, undefined> {
  checkOptionNames('inBatches()', options, ['size'])
  yield* batches(model, state, options.size)
}

const batches = async function* (
  model: ReadModel,
  state: ReadState,
  size: number = BATCH_SIZE,
): AsyncGenerator<object[], void, undefined> {
  rowCount(size, 'The size of a batch', 1)
  const call = beginRead(model, state)
  const columns = await call.columns(namesIn(state))
  for await (const page of call.pages(selectRows(tableOf(model), state, columns), size)) {
    if (page.length > 0) yield toInstances(model, page)
  }
}

export const stream = async function* (
  model: ReadModel,
  state: ReadState,
  options: StreamOptions,
): AsyncGenerator<object, void, undefined> {
  checkOptionNames('stream()', options, ['pageSize'])
  for await (const batch of batches(model, state, options.pageSize)) yield* batch
}
