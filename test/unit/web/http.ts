/** Real HTTP on loopback, down to the bytes. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Starts a server that ends with the test; its port. */
export const listen = async (listener: RequestListener): Promise<number> => {
  const server: Server = createServer(listener).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A connection of a client, and all that it has received. */
export interface Wire {
  readonly socket: Socket
  readonly received: () => string
  /** All of it when the server has closed the connection. */
  readonly all: Promise<string>
}

export const dial = (port: number): Wire => {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => (text += String(chunk)))
  socket.on('error', () => {})
  const all = new Promise<string>((resolve) => socket.once('close', () => resolve(text)))
  return { socket, received: () => text, all }
}

/** One request of HTTP, as text. */
export const requestText = (method = 'GET', ...headers: readonly string[]): string =>
  [`${method} / HTTP/1.1`, 'Host: here', ...headers, '', ''].join('\r\n')

/** What a server answers to one request, down to the bytes; only the date is left out. */
export const bytesOf = async (port: number, method = 'GET'): Promise<string> => {
  const { socket, all } = dial(port)
  socket.write(requestText(method, 'Connection: close'))
  return (await all).replace(/^Date: .*\r\n/m, '')
}
