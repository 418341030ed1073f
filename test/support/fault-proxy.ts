import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/**
 * What a way to a server does.
 *
 * - `pass`: it is there
 * - `refuse`: nobody listens, and all connections are reset
 * - `black-hole`: connecting works, bytes vanish in both directions
 * - `mute`: what clients send arrives, what the server answers vanishes
 * - `half-open`: as `black-hole` for the connections there are; new ones work
 * - `cut-after-send`: what a client sends arrives, and at once its connection is reset
 * - `delay`: every piece of data comes later
 */
export const PROXY_MODES = [
  'pass',
  'refuse',
  'black-hole',
  'mute',
  'half-open',
  'cut-after-send',
  'delay',
] as const
export type ProxyMode = (typeof PROXY_MODES)[number]

/** A way to a server that can go wrong in every way that networks do. */
export interface FaultProxy {
  readonly port: number
  /** Resolves when connections go that way. Those whose bytes vanished are reset by the next mode. */
  set(mode: ProxyMode, options?: { readonly delayMs?: number }): Promise<void>
  /** Resets all connections; new ones work. */
  reset(): void
  /** New connections lead to another server, as behind a name that follows failovers. */
  lead(target: { readonly host: string; readonly port: number }): void
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** Opened before the connections there are became half-open. */
  old: boolean
}

export const openFaultProxy = async (first: {
  readonly host: string
  readonly port: number
}): Promise<FaultProxy> => {
  let target = first
  const pairs = new Set<Pair>()
  let mode: ProxyMode = 'pass'
  let delayMs = 0

  const swallows = (pair: Pair, answer: boolean): boolean =>
    mode === 'black-hole' || (mode === 'mute' && answer) || (mode === 'half-open' && pair.old)

  const forward = (pair: Pair, from: Socket, to: Socket, answer: boolean): void => {
    // In the order in which they came, also when the delay ends meanwhile: it is one stream.
    const late: (() => void)[] = []
    const pass = (act: () => void): void => {
      if (mode !== 'delay' && late.length === 0) {
        act()
        return
      }
      late.push(act)
      setTimeout(() => late.shift()?.(), delayMs)
    }
    from.on('data', (bytes) => {
      if (swallows(pair, answer)) return
      pass(() => {
        if (!to.writable) return
        to.write(bytes, () => {
          if (mode === 'cut-after-send' && !answer) cut(pair)
        })
      })
    })
    from.on('close', () => {
      // The end of a connection is a message too, which may vanish; `set` ends the other side then.
      if (answer && swallows(pair, true)) return
      pass(() => {
        pairs.delete(pair)
        to.destroySoon()
      })
    })
  }

  const accept = (client: Socket): void => {
    const server = connect(target.port, target.host)
    const pair: Pair = { client, server, old: false }
    pairs.add(pair)
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.setNoDelay(true)
      one.on('error', () => undefined)
      forward(pair, one, other, one === server)
    }
  }

  let listener = await listen(accept, 0)
  const { port } = listener.address() as AddressInfo
  const reset = (): void => {
    for (const pair of pairs) cut(pair)
  }
  const unlisten = (): Promise<void> =>
    new Promise((resolve) => {
      if (listener.listening) listener.close(() => resolve())
      else resolve()
      reset()
    })
  const set: FaultProxy['set'] = async (next, options = {}) => {
    for (const pair of pairs) {
      // Bytes of it may have vanished: nobody may go on as if they had not.
      if (swallows(pair, true)) cut(pair)
      else pair.old = true
    }
    mode = next
    delayMs = options.delayMs ?? 0
    if (mode === 'refuse') await unlisten()
    else if (!listener.listening) listener = await listen(accept, port)
  }
  return { port, set, reset, lead: (next) => void (target = next), close: unlisten }
}

const cut = ({ client, server }: Pair): void => {
  client.resetAndDestroy()
  server.destroy()
}

const listen = async (accept: (client: Socket) => void, port: number): Promise<Server> => {
  const server = createServer(accept)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
