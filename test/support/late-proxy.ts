/** A way to a server on which a statement comes late: what is sent after it on other connections overtakes it. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface LateProxy {
  readonly host: string
  readonly port: number
  /** Keeps the next statement with this text back until a cancel request has come and been answered. */
  holdUntilCancelled(text: string): void
  /** Whether that statement has come since. */
  readonly hasHeld: boolean
  /** How many cancel requests have come. */
  readonly cancels: number
  close(): Promise<void>
}

/** The code of a CancelRequest, the only packet of 16 bytes that begins so. */
const CANCEL = Buffer.from('0000001004d2162e', 'hex')

export const openLateProxy = async (target: { host: string; port: number }): Promise<LateProxy> => {
  const sockets = new Set<Socket>()
  let held: string | undefined
  let hasHeld = false
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
        hasHeld = true
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
    holdUntilCancelled: (text) => {
      held = text
      hasHeld = false
    },
    get hasHeld() {
      return hasHeld
    },
    get cancels() {
      return cancels
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/**
 * Makes a call whose statement comes late, with enough time for the statement to be sent: how much that is
 * depends on the machine, and what was never sent is not cancelled. The call must be given up.
 */
export const giveUpWhenSent = async (
  proxy: LateProxy,
  text: string,
  call: (timeoutMs: number) => Promise<unknown>,
): Promise<unknown> => {
  for (let timeoutMs = 50; ; timeoutMs *= 2) {
    proxy.holdUntilCancelled(text)
    const outcome = await call(timeoutMs).then(
      () => new Error('The call was not given up'),
      (error: unknown) => error,
    )
    if (proxy.hasHeld) return outcome
  }
}
