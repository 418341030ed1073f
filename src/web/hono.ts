import type { ReadYourWritesOptions, SessionSource } from './exchange.ts'
import { createExchange } from './exchange.ts'

/** The part of Hono's context that is used. */
export interface HonoContext {
  /** The request. */
  readonly req: {
    /** The address of the request. */
    readonly url: string
    /** One header of the request. */
    header(name: string): string | undefined
  }
  /** Sets a header of the response. */
  header(name: string, value: string, options?: { append?: boolean }): void
}

/** A middleware for `hono.use()`. */
export type HonoMiddleware = (context: HonoContext, next: () => Promise<void>) => Promise<void>

/**
 * The same as {@link readYourWrites} for Hono on Node.js: each request is a session. A response's
 * headers are complete when the handler has returned it; what a stream writes later is in no token.
 *
 * @throws InvalidArgumentError for options that would not work
 *
 * @example
 * ```ts
 * hono.use(readYourWritesHono(cluster))
 * ```
 */
export const readYourWritesHono = (
  cluster: SessionSource,
  options: ReadYourWritesOptions = {},
): HonoMiddleware => {
  const exchange = createExchange(options)
  return (context, next) => {
    const token = exchange.tokenOf((name) => context.req.header(name))
    return cluster.session(
      async (session) => {
        await next()
        if (!exchange.isNeeded(session)) return
        const fields = await exchange.fieldsOf(session, context.req.url.startsWith('https:'))
        for (const { name, value, isAdded } of fields)
          context.header(name, value, { append: isAdded })
      },
      token === undefined ? {} : { token },
    )
  }
}
