import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ReadYourWritesOptions, SessionSource } from './exchange.ts'
import { readYourWrites } from './read-your-writes.ts'

/** The part of Koa's context that is used. */
export interface KoaContext {
  /** Node.js's own request. */
  readonly req: IncomingMessage
  /** Node.js's own response. */
  readonly res: ServerResponse
  /** What is answered with; a stream is read in the session. */
  readonly body?: unknown
}

/** A middleware for `koa.use()`. */
export type KoaMiddleware = (context: KoaContext, next: () => Promise<unknown>) => Promise<void>

/**
 * {@link readYourWrites} for Koa.
 *
 * @throws InvalidArgumentError for options that would not work
 *
 * @example
 * ```ts
 * koa.use(readYourWritesKoa(cluster))
 * ```
 */
export const readYourWritesKoa = (
  cluster: SessionSource,
  options: ReadYourWritesOptions = {},
): KoaMiddleware => {
  const middleware = readYourWrites(cluster, options)
  return (context, next) =>
    new Promise((resolve, reject) => {
      const follow = async (): Promise<void> => {
        await next()
        bindStream(context.body)
      }
      middleware(context.req, context.res, (error) => {
        if (error === undefined) follow().then(resolve, reject)
        else reject(error)
      })
    })
}

/** Koa reads a body's stream after all middleware has ended, where no session is around it. */
const bindStream = (body: unknown): void => {
  const stream = body as { read?: unknown; pipe?: unknown } | null | undefined
  if (typeof stream?.read !== 'function' || typeof stream.pipe !== 'function') return
  stream.read = AsyncResource.bind(stream.read as () => unknown)
}
