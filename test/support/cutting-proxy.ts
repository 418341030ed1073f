/** A way to a server that cuts a connection at a chosen statement. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface CuttingProxy {
  readonly host: string
  readonly port: number
  /**
   * Cuts the next connection that sends this text: `after` the server has received and answered it,
   * without passing the answer on, or `before` it gets to the server.
   */
  cutAt(text: string, when: 'before' | 'after'): void
  /** Lets the next connection that sends this text hang: the server's answers do not come through any more. */
  swallow(text: string): void
  close(): Promise<void>
}

export const openCuttingProxy = async (target: {
  host: string
  port: number
}): Promise<CuttingProxy> => {
  const sockets = new Set<Socket>()
  let cut: { text: string; when: 'before' | 'after' | 'never' } | undefined
  const server = createServer((client) => {
    const onward = connect(target.port, target.host)
    for (const socket of [client, onward]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        onward.destroy()
      })
    }
    let severed = false
    let swallowed = false
    client.on('data', (data) => {
      if (cut !== undefined && data.includes(cut.text)) {
        const { when } = cut
        if (when === 'never') swallowed = true
        else severed = true
        cut = undefined
        if (when === 'before') {
          client.destroy()
          return
        }
      }
      onward.write(data)
    })
    onward.on('data', (data) => {
      if (severed) client.destroy()
      else if (!swallowed) client.write(data)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    host: '127.0.0.1',
    port,
    cutAt: (text, when) => (cut = { text, when }),
    swallow: (text) => (cut = { text, when: 'never' }),
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
