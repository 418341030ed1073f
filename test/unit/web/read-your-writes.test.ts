import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { expect, test, vi } from 'vitest'
import type { OpenSession } from '../../../src/cluster/session.ts'
import { readYourWrites } from '../../../src/web/read-your-writes.ts'
import type { SessionSource } from '../../../src/web/exchange.ts'
import { bytesOf, dial, listen, requestText } from './http.ts'

const within = new AsyncLocalStorage<string>()

/** Opens sessions without servers; the context tells whether one is around the caller. */
const source = (session: Partial<OpenSession> = {}) => {
  const tokens: (string | undefined)[] = []
  const ended: string[] = []
  const cluster: SessionSource = {
    session: async (fn, options) => {
      tokens.push(options?.token)
      const open = { hasWritten: true, hasRead: false, movedToken: async () => 'new' }
      const result = await within.run('session', () => fn({ ...open, ...session }))
      ended.push('ended')
      return result
    },
  }
  return { cluster, tokens, ended }
}

test('listeners of the request and the response run in the session', async () => {
  const seen: (string | undefined)[] = []
  const { cluster } = source()
  const middleware = readYourWrites(cluster)
  const port = await listen((request, response) => {
    middleware(request, response, () => {
      seen.push(within.getStore())
      request.on('data', () => seen.push(within.getStore()))
      request.on('end', () => {
        seen.push(within.getStore())
        response.on('finish', () => seen.push(within.getStore()))
        response.end()
      })
    })
  })
  const { socket, all } = dial(port)
  socket.write(requestText('POST', 'Connection: close', 'Content-Length: 4'))
  await new Promise((resolve) => setImmediate(resolve))
  socket.write('body')
  expect(await all).toContain('Set-Cookie: segregato=new; ')
  expect(new Set(seen)).toEqual(new Set(['session']))
  expect(seen).toHaveLength(4)
})

test('the session lasts until the response has ended', async () => {
  const { cluster, ended } = source({ hasWritten: false })
  const middleware = readYourWrites(cluster)
  let atEnd: readonly string[] = ['not called']
  const port = await listen((request, response) => {
    middleware(request, response, () => {
      setImmediate(() => {
        atEnd = [...ended]
        response.end()
      })
    })
  })
  await bytesOf(port)
  expect(atEnd).toEqual([])
  await expect.poll(() => ended).toEqual(['ended'])
})

test('a session that cannot be opened is an error for the next handler, once', async () => {
  const error = new Error('closed')
  const middleware = readYourWrites({ session: () => Promise.reject(error) })
  const next = vi.fn()
  const port = await listen((request, response) => {
    middleware(request, response, (failure) => {
      next(failure)
      response.writeHead(503).end()
    })
  })
  expect(await bytesOf(port)).toMatch(/^HTTP\/1\.1 503 /)
  expect(next.mock.calls).toEqual([[error]])
})

test('tokens come from the cookie and are only handed on', async () => {
  const { cluster, tokens } = source({ hasWritten: false })
  const middleware = readYourWrites(cluster)
  const port = await listen((request, response) => {
    middleware(request, response, () => response.end())
  })
  for (const cookie of ['segregato=abc', 'segregato=a b', `segregato=${'x'.repeat(200)}`]) {
    const { socket, all } = dial(port)
    socket.write(requestText('GET', 'Connection: close', `Cookie: ${cookie}`))
    expect(await all).not.toContain('Set-Cookie')
  }
  expect(tokens).toEqual(['abc', undefined, undefined])
})

test('a primary that does not tell its position holds no response up for ever', async () => {
  const onTokenMissing = vi.fn()
  const { cluster } = source({ movedToken: () => new Promise(() => {}) })
  const middleware = readYourWrites(cluster, { timeoutMs: 20, onTokenMissing })
  const port = await listen((request, response) => {
    middleware(request, response, () => response.end('done'))
  })
  const text = await bytesOf(port)
  expect(text).toMatch(/done$/)
  expect(text).not.toContain('Set-Cookie')
  expect(onTokenMissing.mock.calls).toEqual([[undefined]])
})

test('a client that leaves while its request waits ends the session', async () => {
  const { cluster, ended } = source()
  const middleware = readYourWrites(cluster)
  let began: () => void = () => {}
  const hasBegun = new Promise<void>((resolve) => (began = resolve))
  const port = await listen((request, response) => middleware(request, response, () => began()))
  const { socket } = dial(port)
  socket.write(requestText())
  await hasBegun
  socket.destroy()
  await once(socket, 'close')
  await expect.poll(() => ended).toEqual(['ended'])
})
