import { createServer } from 'node:http'
import type { RequestListener, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A web server that answers requests. */
export interface RunningServer extends AsyncDisposable {
  readonly port: number
  /** Accepts nothing new, finishes what runs, and cuts off what does not finish within ten seconds. */
  close(): Promise<void>
}

const FINISH_MS = 10_000

/** Starts a web server; on all addresses of the machine when no host is given. */
export const serve = async (
  app: RequestListener,
  { port, host }: { readonly port: number; readonly host?: string },
): Promise<RunningServer> => {
  const running = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    running.add(response)
    response.once('close', () => running.delete(response))
    if (!server.listening) response.setHeader('Connection', 'close')
    app(request, response)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve)
  })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      const limit = setTimeout(() => server.closeAllConnections(), FINISH_MS)
      server.close(() => {
        clearTimeout(limit)
        resolve()
      })
      // Connections that clients keep for further requests would hold up the end.
      for (const response of running)
        if (!response.headersSent) response.setHeader('Connection', 'close')
    })
  return { port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close }
}
