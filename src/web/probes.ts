import { AsyncResource } from 'node:async_hooks'
import type { Cluster } from '../cluster/cluster.ts'
import { EXECUTE } from '../cluster/statement.ts'
import type { Executor, RoutedQueries } from '../cluster/statement.ts'
import { WEB_DEFAULTS } from '../config/defaults.ts'
import { InvalidArgumentError } from '../errors.ts'
import { httpHandler, jsonAnswer } from './answer.ts'
import type { Answer, HttpHandler } from './answer.ts'

/** The part of a cluster that `ready()` asks. */
export interface ReadySource extends Pick<Cluster, 'status'> {
  /** The cluster's `reader`. */
  readonly reader: RoutedQueries
  /** The cluster's `writer`. */
  readonly writer: RoutedQueries
}

/** How `ready()` asks. */
export interface ReadyOptions {
  /** How long the servers may take to answer, in milliseconds. @defaultValue `750` */
  readonly timeoutMs?: number | undefined
  /** How long one answer serves all who ask, in milliseconds. @defaultValue `1_000` */
  readonly maxAgeMs?: number | undefined
}

/**
 * Tells whether the process lives: 200 for as long as it answers at all. No server is asked, since
 * a restart of this process would not help a database.
 *
 * @example
 * ```ts
 * app.get('/health', health()) // Express
 * hono.get('/health', () => alive.answer()) // Hono, with const alive = health()
 * ```
 */
export const health = (): HttpHandler =>
  httpHandler(() => Promise.resolve(jsonAnswer(200, { status: 'ok' })))

/**
 * Tells whether the process can serve: 200 when reads work, else 503. Whether writes work stands in the
 * body, `{"status":"ready","reads":"ok","writes":"failing"}`: most applications can do without for the
 * time of a failover. A read and a question to the primary are sent, once for all who ask at that time.
 *
 * @throws InvalidArgumentError for a time that is no positive number
 *
 * @example
 * ```ts
 * app.get('/ready', ready(cluster))
 * ```
 */
export const ready = (
  cluster: ReadySource,
  { timeoutMs, maxAgeMs }: ReadyOptions = {},
): HttpHandler => {
  const limitMs = positive('timeoutMs', timeoutMs ?? WEB_DEFAULTS.readyTimeoutMs)
  const servesMs = positive('maxAgeMs', maxAgeMs ?? WEB_DEFAULTS.readyMaxAgeMs)
  let present: { readonly answer: Promise<Answer>; readonly at: number } | undefined
  // It is nobody's request: what it asks must not be in the session of the one that came first.
  const ask = AsyncResource.bind(() => askServers(cluster, limitMs))
  return httpHandler(() => {
    const now = performance.now()
    if (present === undefined || now - present.at >= servesMs) present = { answer: ask(), at: now }
    return present.answer
  })
}

const positive = (name: string, ms: number): number => {
  if (typeof ms === 'number' && ms > 0 && ms < 2 ** 31) return ms
  throw new InvalidArgumentError(
    `ready(): ${name} must be a positive number of milliseconds, not ${ms}`,
  )
}

const askServers = async (cluster: ReadySource, timeoutMs: number): Promise<Answer> => {
  const { state } = cluster.status()
  if (state !== 'open')
    return jsonAnswer(503, { status: state, reads: 'failing', writes: 'failing' })
  // The symbol of their method is another one in the declarations that CommonJS gets.
  const { reader, writer } = cluster as unknown as Record<'reader' | 'writer', Executor>
  const options = { timeoutMs, consistency: 'eventual' } as const
  const [reads, writes] = await Promise.all([
    succeeds(() => reader[EXECUTE]({ text: 'SELECT 1' }, options)),
    succeeds(async () => {
      const { rows } = await writer[EXECUTE]<{ transaction_read_only: string }>(
        { text: 'SHOW transaction_read_only' },
        { timeoutMs },
      )
      return rows[0]?.transaction_read_only === 'off'
    }),
  ])
  return jsonAnswer(reads ? 200 : 503, {
    status: reads ? 'ready' : 'unready',
    reads: reads ? 'ok' : 'failing',
    writes: writes ? 'ok' : 'failing',
  })
}

/** Which error it was may name users and hosts: that is for the log of those who meet it. */
const succeeds = async (ask: () => Promise<unknown>): Promise<boolean> => {
  try {
    return (await ask()) !== false
  } catch {
    return false
  }
}
