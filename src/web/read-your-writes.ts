import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createExchange } from './exchange.ts'
import type { ReadYourWritesOptions, SessionSource } from './exchange.ts'
import { addLateFields } from './hold-headers.ts'

/** A middleware of `node:http`, Connect and Express. */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/**
 * Runs each request in a session of its own: its reads see its own writes, and, by a signed token that
 * travels in a cookie or a header, those of the same client's earlier requests, whichever process
 * has served them. The token is given back only when the request has written, before the headers
 * leave. A request that has not written is not held back.
 *
 * Processes that take each other's tokens need the same `tokenKeys`. An error in a token is nobody's
 * error: one that is not ours counts as none. Register it before what reads or writes.
 *
 * @throws InvalidArgumentError for options that would not work
 *
 * @example
 * ```ts
 * app.use(readYourWrites(cluster)) // Express
 *
 * const session = readYourWrites(cluster) // node:http
 * createServer((request, response) => session(request, response, () => handle(request, response)))
 * ```
 */
export const readYourWrites = (
  cluster: SessionSource,
  options: ReadYourWritesOptions = {},
): Middleware => {
  const exchange = createExchange(options)
  return (request, response, next) => {
    const token = exchange.tokenOf((name) => request.headers[name])
    let hasEntered = false
    cluster
      .session(
        async (session) => {
          hasEntered = true
          addLateFields(request, response, {
            isNeeded: () => exchange.isNeeded(session),
            find: () => exchange.fieldsOf(session, isEncrypted(request)),
          })
          bindEvents(request, response)
          const closed = new Promise((resolve) => response.once('close', resolve))
          next()
          await closed
        },
        token === undefined ? {} : { token },
      )
      .catch((error: unknown) => {
        if (!hasEntered) return next(error)
        // What follows has thrown: that is no concern of ours, and must not be lost.
        process.nextTick(() => {
          throw error
        })
      })
  }
}

/**
 * Lets listeners run in the session: by themselves they run where the socket was opened, and what is
 * read and written when a body has arrived would be outside.
 */
const bindEvents = (...emitters: readonly (IncomingMessage | ServerResponse)[]): void => {
  const here = new AsyncResource('segregato.request')
  for (const emitter of emitters) {
    const emit = emitter.emit.bind(emitter)
    // Not AsyncResource.bind(): that costs as much as all the rest of this.
    emitter.emit = (...args: Parameters<typeof emit>) =>
      here.runInAsyncScope(emit, undefined, ...args)
  }
}

const isEncrypted = ({ socket }: IncomingMessage): boolean =>
  (socket as { encrypted?: boolean } | null)?.encrypted === true
