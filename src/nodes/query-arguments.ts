import { AsyncResource } from 'node:async_hooks'
import type { QueryConfig, QueryResult, Submittable } from 'pg'

/** The callback form of `query`. */
export type QueryCallback = (error: Error | null | undefined, result?: QueryResult) => void

/** A query object of `pg` as its client drives it: a cursor, a stream, a COPY, a `pg.Query`. */
export interface SubmittableQuery extends Submittable {
  text?: string
  values?: readonly unknown[] | null
  cursor?: { text?: string; values?: readonly unknown[] | null }
  callback?: unknown
  handleError(error: Error, connection: unknown): void
  handleReadyForQuery(connection: unknown): void
}

/** What the call forms of `pg`'s `query` have in common. */
export type QueryCall =
  | { readonly submittable: SubmittableQuery; readonly text: string }
  | { readonly config: QueryConfig; readonly callback: QueryCallback | undefined }

/**
 * Reads the arguments of `query` as `pg` does: text or config, values, callback, in any of its
 * forms. A copy of the config is returned: `pg` writes into the one it is given.
 *
 * @throws TypeError as `pg` does when there is no query
 */
export const readQueryArguments = (args: readonly unknown[]): QueryCall => {
  const [query, values, callback] = args
  // The same words as pg's: code written for it may look at them.
  if (query === null || query === undefined) {
    throw new TypeError('Client was passed a null or undefined query')
  }
  if (isSubmittable(query)) {
    const ended = [values, callback].find((value) => typeof value === 'function')
    if (ended !== undefined) query.callback ||= ended
    return { submittable: query, text: query.text ?? query.cursor?.text ?? '' }
  }
  const given = typeof query === 'object' ? (query as QueryConfig) : { text: query as string }
  const config = { ...given } as QueryConfig & { callback?: unknown }
  const found = [callback, values, config.callback].find((value) => typeof value === 'function')
  delete config.callback
  if (values !== undefined && values !== null && typeof values !== 'function') {
    config.values = values as unknown[]
  }
  return { config, callback: found as QueryCallback | undefined }
}

/** The parameters of a query object. */
export const valuesOf = ({ values, cursor }: SubmittableQuery): readonly unknown[] | undefined =>
  values ?? cursor?.values ?? undefined

const isSubmittable = (query: unknown): query is SubmittableQuery =>
  typeof query === 'object' && query !== null && typeof (query as Submittable).submit === 'function'

/** What a connection calls on a query object. */
const HANDLERS = [
  'handleRowDescription',
  'handleDataRow',
  'handlePortalSuspended',
  'handleCommandComplete',
  'handleReadyForQuery',
  'handleError',
  'handleEmptyQuery',
  'handleCopyInResponse',
  'handleCopyData',
] as const

/**
 * Lets everything that a query object does with its answers, events and callbacks included, run in
 * the caller's async context. Without it they run in that of the socket, which belongs to whoever
 * opened the connection.
 */
export const bindToCaller = (query: SubmittableQuery): void => {
  const handlers = query as unknown as Record<string, unknown>
  for (const name of HANDLERS) {
    const handler = handlers[name]
    if (typeof handler === 'function') handlers[name] = AsyncResource.bind(handler.bind(query))
  }
}

/** Runs `after` once when a query object has ended, well or with an error, after its own handler. */
export const whenEnded = (query: SubmittableQuery, after: () => void): void => {
  const handleError = query.handleError.bind(query)
  const handleReadyForQuery = query.handleReadyForQuery.bind(query)
  // The connection calls the one or the other: after an error it does not report that it is ready.
  query.handleError = (error, connection) => {
    handleError(error, connection)
    after()
  }
  query.handleReadyForQuery = (connection) => {
    handleReadyForQuery(connection)
    after()
  }
}
