import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ReadYourWritesOptions, SessionSource } from './exchange.ts'
import { readYourWrites } from './read-your-writes.ts'

/** The part of a Fastify instance that is used. */
export interface FastifyHost {
  /** Adds a hook that runs when a request has come in. */
  addHook(
    name: 'onRequest',
    hook: (
      request: { readonly raw: IncomingMessage },
      reply: { readonly raw: ServerResponse },
      done: (error?: Error) => void,
    ) => void,
  ): unknown
}

/** A plugin for `fastify.register()`. It holds for the instance that registers it, not only for itself. */
export type FastifyPlugin = (
  fastify: FastifyHost,
  options: object,
  done: (error?: Error) => void,
) => void

/**
 * {@link readYourWrites} for Fastify.
 *
 * @throws InvalidArgumentError for options that would not work
 *
 * @example
 * ```ts
 * await fastify.register(readYourWritesFastify(cluster))
 * ```
 */
export const readYourWritesFastify = (
  cluster: SessionSource,
  options: ReadYourWritesOptions = {},
): FastifyPlugin => {
  const middleware = readYourWrites(cluster, options)
  const plugin: FastifyPlugin = (fastify, _options, done) => {
    fastify.addHook('onRequest', (request, reply, next) => {
      middleware(request.raw, reply.raw, (error) => next(error as Error | undefined))
    })
    done()
  }
  // What the package fastify-plugin sets.
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true })
}
