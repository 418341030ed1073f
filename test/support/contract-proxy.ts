import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Address } from './contract.ts'

/** A way to a server that can be cut without a word, as a dead machine or a firewall does it. */
export interface Proxy {
  readonly host: string
  readonly port: number
  /** Cuts all connections there are; new ones work. */
  sever(): void
  close(): Promise<void>
}

const listen = async (server: Server): Promise<AddressInfo> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server.address() as AddressInfo
}

const serve = async (accept: (socket: Socket) => void): Promise<Proxy> => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    accept(socket)
  })
  const { address: host, port } = await listen(server)
  const sever = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const close = (): Promise<void> => {
    sever()
    return new Promise((resolve) => server.close(() => resolve()))
  }
  return { host, port, sever, close }
}

export const openProxy = (target: Address): Promise<Proxy> =>
  serve((socket) => {
    const onward = connect(target.port, target.host)
    onward.on('error', () => socket.destroy())
    onward.on('close', () => socket.destroy())
    socket.on('close', () => onward.destroy())
    socket.pipe(onward).pipe(socket)
  })

/** A server that accepts connections and never says anything. */
export const openSilence = (): Promise<Proxy> => serve((socket) => socket.resume())

/** A port that nothing listens on. */
export const closedPort = async (): Promise<number> => {
  const silence = await openSilence()
  await silence.close()
  return silence.port
}
