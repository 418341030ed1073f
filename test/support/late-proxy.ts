/** A way to a server on which a statement comes late: what is sent after it on other connections overtakes it. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface LateProxy {
  readonly host: string
  readonly port: number
  /** Keeps the next statement with this text back until a cancel request has come and been answered. */
  holdUntilCancelled(text: string): void
  /** How many cancel requests have come. */
  readonly cancels: number
  close(): Promise<void>
}

/** The code of a CancelRequest, the only packet of 16 bytes that begins so. */
const CANCEL = Buffer.from('0000001004d2162e', 'hex')

export const openLateProxy = async (target: { host: string; port: number }): Promise<LateProxy> => {
  const sockets = new Set<Socket>()
  let held: string | undefined
  let release = (): void => {}
  let cancels = 0
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
    client.on('data', (data) => {
      if (data.subarray(0, CANCEL.length).equals(CANCEL)) {
        cancels += 1
        // The server closes the connection when it has passed the request on.
        onward.once('close', () => release())
      }
      if (held !== undefined && data.includes(held)) {
        held = undefined
        release = () => {
          release = () => {}
          onward.write(data)
        }
      } else onward.write(data)
    })
    onward.on('data', (data) => client.write(data))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    holdUntilCancelled: (text) => (held = text),
    get cancels() {
      return cancels
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
