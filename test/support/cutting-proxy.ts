/** A way to a server on which connections can be cut, slowed down and lost in all the ways that networks know. */
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
  /** The same for every connection from now on, with a reset (RST) in place of an orderly end; until `heal()`. */
  resetAt(text: string): void
  /** Lets the next connection that sends this text hang: the server's answers do not come through any more. */
  swallow(text: string): void
  /** Connections are made and stay open, and nothing passes on any of them, in either direction. */
  blackHole(): void
  /** As after a power failure: the server's side of all connections is gone, and the client's does not know. */
  halfOpen(): void
  /** New connections are reset at once. */
  refuseWithReset(): void
  /** Everything from the server comes so much later. */
  delay(ms: number): void
  /** All of the above is over. What was lost on the way stays lost: those connections are closed. */
  heal(): void
  /** How many packets to the server had this text in them. */
  sent(text: string): number
  close(): Promise<void>
}

interface Cut {
  readonly text: string
  readonly when: 'before' | 'after' | 'never' | 'reset'
}

export const openCuttingProxy = async (target: {
  host: string
  port: number
}): Promise<CuttingProxy> => {
  const pairs = new Set<{ client: Socket; onward: Socket; lost: boolean }>()
  const received: Buffer[] = []
  let cut: Cut | undefined
  let mode: 'pass' | 'black hole' | 'reset' = 'pass'
  let delayMs = 0
  const server = createServer((client) => {
    client.on('error', () => {})
    if (mode === 'reset') {
      client.resetAndDestroy()
      return
    }
    const onward = connect(target.port, target.host)
    const pair = { client, onward, lost: false }
    pairs.add(pair)
    onward.on('error', () => {})
    client.on('close', () => {
      pairs.delete(pair)
      onward.destroy()
    })
    onward.on('close', () => {
      if (!pair.lost) client.destroy()
    })
    let severed = false
    let swallowed = false
    client.on('data', (data) => {
      if (mode === 'black hole') pair.lost = true
      if (pair.lost) return
      received.push(data)
      if (cut !== undefined && data.includes(cut.text)) {
        const { when } = cut
        if (when === 'never') swallowed = true
        else severed = true
        if (when !== 'reset') cut = undefined
        if (when === 'before') {
          client.destroy()
          return
        }
      }
      onward.write(data)
    })
    const answer = (data: Buffer): void => {
      if (mode === 'black hole') pair.lost = true
      if (severed) {
        if (cut?.when === 'reset') client.resetAndDestroy()
        else client.destroy()
      } else if (!swallowed && !pair.lost && !client.destroyed) client.write(data)
    }
    onward.on('data', (data) => {
      if (delayMs === 0) answer(data)
      else setTimeout(answer, delayMs, data)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    host: '127.0.0.1',
    port,
    cutAt: (text, when) => (cut = { text, when }),
    resetAt: (text) => (cut = { text, when: 'reset' }),
    swallow: (text) => (cut = { text, when: 'never' }),
    blackHole: () => (mode = 'black hole'),
    halfOpen: () => {
      for (const pair of pairs) {
        pair.lost = true
        pair.onward.destroy()
      }
    },
    refuseWithReset: () => (mode = 'reset'),
    delay: (ms) => (delayMs = ms),
    heal: () => {
      mode = 'pass'
      cut = undefined
      delayMs = 0
      for (const { lost, client } of pairs) if (lost) client.destroy()
    },
    sent: (text) => received.filter((data) => data.includes(text)).length,
    close: async () => {
      for (const { client, onward } of pairs) {
        client.destroy()
        onward.destroy()
      }
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
