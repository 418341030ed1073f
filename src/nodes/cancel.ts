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

/**
 * Asks the server to cancel what a connection is running (CancelRequest, PostgreSQL documentation
 * 54.2.8), over a connection of its own. Nobody waits for it: whether it came in time only shows in
 * the cancelled statement.
 */
export const cancelRunning = (client: NodeClient): void => {
  const { processID, secretKey } = client as unknown as Backend
  if (processID === null || secretKey === null) return
  const { node } = client
  // The client's own TLS options, as it has checked the server with them.
  const ssl = (client as unknown as { ssl: boolean }).ssl
  const connection = new pg.Connection({ ssl }) as CancelConnection
  connection.on('error', () => connection.stream.destroy())
  connection.stream.on('close', () => connection.stream.destroy())
  const request = (): void => {
    connection.cancel(processID, secretKey)
    connection.stream.end()
  }
  connection.on('connect', () => (ssl ? connection.requestSsl() : request()))
  connection.on('sslconnect', request)
  if (node.host.startsWith('/')) connection.connect(`${node.host}/.s.PGSQL.${node.port}`)
  else connection.connect(node.port, node.host)
}
