import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openFaultProxy } from '../support/fault-proxy.ts'
import type { FaultProxy } from '../support/fault-proxy.ts'

let echo: Server
let received: string
let proxy: FaultProxy
const sockets = new Set<Socket>()

beforeEach(async () => {
  received = ''
  echo = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      received += bytes.toString()
      socket.write(bytes)
    })
  }).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  proxy = await openFaultProxy({
    host: '127.0.0.1',
    port: (echo.address() as AddressInfo).port,
  })
})
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  await proxy.close()
  echo.close()
})

const open = async (): Promise<Socket> => {
  const socket = connect(proxy.port, '127.0.0.1')
  sockets.add(socket)
  await once(socket, 'connect')
  return socket
}
const answer = async (socket: Socket, text: string): Promise<string> => {
  socket.write(text)
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  return bytes.toString()
}
/** How a connection ends: the code of its error. */
const ending = (socket: Socket): Promise<unknown> =>
  once(socket, 'error').then(([error]) => (error as NodeJS.ErrnoException).code)

test('passes, and later with a delay', async () => {
  const socket = await open()
  expect(await answer(socket, 'a')).toBe('a')
  await proxy.set('delay', { delayMs: 5 })
  expect(await answer(socket, 'b')).toBe('b')
})

test('what is late comes in its order, also when the delay has ended, and before the end of its connection', async () => {
  echo.once('connection', (socket) => socket.once('data', () => socket.end('!')))
  const socket = await open()
  let seen = ''
  socket.on('data', (bytes: Buffer) => (seen += bytes.toString()))
  await proxy.set('delay', { delayMs: 100 })
  socket.write('a')
  await vi.waitUntil(() => received === 'a')
  await proxy.set('pass')
  await once(socket, 'close')
  expect(seen).toBe('a!')
})

test('resets connections and lets new ones through', async () => {
  const socket = await open()
  await answer(socket, 'a')
  const ended = ending(socket)
  proxy.reset()
  expect(await ended).toBe('ECONNRESET')
  expect(await answer(await open(), 'b')).toBe('b')
})

test('refuses, and listens on the same port afterwards', async () => {
  await proxy.set('refuse')
  await expect(open()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await proxy.set('pass')
  expect(await answer(await open(), 'a')).toBe('a')
})

test('what falls into a black hole never arrives, and its connection is reset when it ends', async () => {
  await proxy.set('black-hole')
  const socket = await open()
  const ended = ending(socket)
  socket.write('lost')
  await proxy.set('pass')
  expect(await ended).toBe('ECONNRESET')
  expect(received).toBe('')
})

test('mute: the server hears and is not heard', async () => {
  const socket = await open()
  await answer(socket, 'a')
  await proxy.set('mute')
  let heard = ''
  socket.on('data', (bytes: Buffer) => (heard += bytes.toString()))
  const ended = ending(socket)
  socket.write('b')
  await expect.poll(() => received).toBe('ab')
  await proxy.set('pass')
  expect(await ended).toBe('ECONNRESET')
  expect(heard).toBe('')
})

test('half-open: connections there are fall silent, new ones work', async () => {
  const old = await open()
  await answer(old, 'a')
  await proxy.set('half-open')
  const ended = ending(old)
  old.write('lost')
  expect(await answer(await open(), 'b')).toBe('b')
  await proxy.set('pass')
  expect(await ended).toBe('ECONNRESET')
  expect(received).toBe('ab')
})

test('cut after send: the server has it, the client is reset', async () => {
  const socket = await open()
  await answer(socket, 'a')
  await proxy.set('cut-after-send')
  const ended = ending(socket)
  socket.write('b')
  expect(await ended).toBe('ECONNRESET')
  await expect.poll(() => received).toBe('ab')
})
