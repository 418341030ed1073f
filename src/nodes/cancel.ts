import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Connection } from 'pg'
import type { NodeClient } from './client.ts'

/** The parts of `pg`'s connection that its types leave out. */
interface CancelConnection extends Connection {
  connect(port: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: number, secretKey: number): void
}

/** The parts of `pg`'s client that its types leave out. */
interface Backend {
  readonly processID: number | null
  readonly secretKey: number | null
}

/** A server that does not take the request in this time is not waited for. */
const CANCEL_TIMEOUT_MS = 1_000

/** How long a statement may go on after it was cancelled until the server is asked again; then twice as long. */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/**
 * Cancels a statement that has been sent and is not `over`. A request that overtakes its statement
 * finds the server idle and means nothing to it: it is repeated until the statement ends. Once this
 * has resolved, no statement that follows can be hit.
 */
export const cancelUntil = async (client: NodeClient, over: Promise<unknown>): Promise<void> => {
  const ending = new AbortController()
  const end = (): void => ending.abort()
  over.then(end, end)
  const options = { ref: false, signal: ending.signal }
  for (let pauseMs = FIRST_PAUSE_MS; !ending.signal.aborted;) {
    await cancelRunning(client)
    await sleep(pauseMs, undefined, options).catch(() => undefined)
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
  }
}

/**
 * Asks the server to cancel what a connection is running (CancelRequest, PostgreSQL documentation
 * 54.2.8), over a connection of its own. Resolves when the server has closed that one: then the
 * signal has been sent, and a statement that follows cannot be hit by it. Whether it came in time
 * only shows in the cancelled statement.
 */
export const cancelRunning = (client: NodeClient): Promise<void> => {
  const { processID, secretKey } = client as unknown as Backend
  if (processID === null || secretKey === null) return Promise.resolve()
  const { node } = client
  // The client's own TLS options, as it has checked the server with them.
  const ssl = (client as unknown as { ssl: boolean }).ssl
  const connection = new pg.Connection({ ssl }) as CancelConnection
  return new Promise((resolve) => {
    const giveUp = setTimeout(() => connection.stream.destroy(), CANCEL_TIMEOUT_MS)
    connection.on('error', () => connection.stream.destroy())
    connection.on('end', () => {
      clearTimeout(giveUp)
      resolve()
    })
    const request = (): void => connection.cancel(processID, secretKey)
    connection.on('connect', () => (ssl ? connection.requestSsl() : request()))
    connection.on('sslconnect', request)
    if (node.host.startsWith('/')) connection.connect(`${node.host}/.s.PGSQL.${node.port}`)
    else connection.connect(node.port, node.host)
  })
}
