import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, createServer } from 'node:http2'
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Field } from '../../../src/web/exchange.ts'
import { addLateFields } from '../../../src/web/hold-headers.ts'
import { bytesOf, dial, listen, requestText } from './http.ts'

type Handler = (response: ServerResponse, request: IncomingMessage) => unknown

const COOKIE: Field = { name: 'Set-Cookie', value: 'seen=1', isAdded: true }
const LINE = 'Set-Cookie: seen=1\r\n'

/** A server whose responses are held back until `open()`, or for a few turns of the event loop. */
const held = async (handler: Handler, fields?: Promise<readonly Field[]>) =>
  listen((request, response) => {
    addLateFields(request, response, {
      isNeeded: () => true,
      find: async () => {
        for (let count = 0; count < 5; count++) await turn()
        return fields ?? [COOKIE]
      },
    })
    void handler(response, request)
  })

const plain = (handler: Handler) => listen((request, response) => void handler(response, request))

/** Sets what every handler may have set before. */
const HANDLERS: Record<string, Handler> = {
  'end without a body': (response) => response.end(),
  'end with a body': (response) => response.end('body'),
  'end with a buffer': (response) => response.end(Buffer.from([0, 255, 13, 10])),
  'end with an encoding': (response) => response.end('ff00', 'hex'),
  'end with arguments that are null': (response) =>
    response.end('body', null as never, null as never),
  'a status and a message': (response) => {
    response.statusCode = 418
    response.statusMessage = 'Short and stout'
    response.end('tea')
  },
  'one write': (response) => {
    response.write('one')
    response.end()
  },
  'several writes': (response) => {
    for (const part of ['one', 'two', '', 'three']) response.write(part)
    response.end('four')
  },
  'a length that is known': (response) => {
    response.setHeader('Content-Length', 6)
    response.write('one')
    response.end('two')
  },
  'writeHead alone': (response) => response.writeHead(204).end(),
  'writeHead with an object': (response) =>
    response.writeHead(201, { 'X-One': '1', 'Content-Length': 2, 'X-List': ['a', 'b'] }).end('ok'),
  'writeHead with a message': (response) => response.writeHead(200, 'Fine', { 'X-One': '1' }).end(),
  'writeHead with a message only': (response) => response.writeHead(200, 'Fine').end('ok'),
  'writeHead with undefined': (response) =>
    response.writeHead(200, undefined, { 'X-A': 'a' }).end(),
  'writeHead with pairs': (response) => response.writeHead(200, ['X-One', '1', 'X-Two', '2']).end(),
  'writeHead with names that come twice': (response) =>
    response.writeHead(200, ['Link', '</a>', 'X-Two', '2', 'Link', '</b>']).end(),
  'writeHead with arrays of pairs': (response) =>
    response
      .writeHead(200, [
        ['X-One', '1'],
        ['X-Two', '2'],
      ] as never)
      .end(),
  'writeHead over headers that were set': (response) => {
    response.setHeader('X-One', '0')
    response.setHeader('X-Kept', 'yes')
    response.writeHead(200, { 'x-one': '1' }).end()
  },
  'writeHead with pairs over headers that were set': (response) => {
    response.setHeader('X-One', '0')
    response.setHeader('X-Kept', 'yes')
    response.writeHead(200, ['x-one', '1']).end()
  },
  'flushHeaders first': (response) => {
    response.flushHeaders()
    response.end('later')
  },
  'not modified': (response) => response.writeHead(304, { ETag: '"1"' }).end(),
  'a body where there is none': (response) => {
    response.statusCode = 304
    response.write('x')
    response.end('ignored')
  },
  corked: (response) => {
    response.cork()
    response.write('one')
    response.write('two')
    response.uncork()
    response.end()
  },
  trailers: (response, { method }) => {
    if (method === 'HEAD') return response.end()
    response.setHeader('Trailer', 'X-Sum')
    response.write('one')
    response.addTrailers({ 'X-Sum': '1' })
    return response.end()
  },
  'an answer to what is expected': (response) => {
    response.writeProcessing()
    response.end('ok')
  },
  'a stream': (response) => pipeline(Readable.from(['one', 'two', 'three']), response),
  'a status that changes too late': (response) => {
    response.write('one')
    response.statusCode = 500
    response.end()
  },
  'asynchronous parts': async (response) => {
    response.write('one')
    for (let count = 0; count < 10; count++) await turn()
    response.end('two')
  },
}

describe.each(['GET', 'HEAD', 'POST'])('%s', (method) => {
  test.each(Object.entries(HANDLERS))(
    'held back, a response has the same bytes and the header: %s',
    async (_name, handler) => {
      const expected = await bytesOf(await plain(handler), method)
      const withLine = await bytesOf(await held(handler), method)
      expect(expected).toMatch(/^HTTP\/1\.1 \d/)
      expect(withLine).toContain(LINE)
      const found = withLine.replace(LINE, '')
      const sorted = (text: string): string[] => text.split('\r\n').toSorted()
      expect(sorted(found)).toEqual(sorted(expected))
      expect(found.split('\r\n\r\n').slice(1)).toEqual(expected.split('\r\n\r\n').slice(1))
    },
  )
})

test('cookies that the response has stay, however they were set', async () => {
  const ways: Handler[] = [
    (response) => response.setHeader('Set-Cookie', ['a=1', 'b=2']).end(),
    (response) => response.writeHead(200, { 'Set-Cookie': ['a=1', 'b=2'] }).end(),
    (response) => response.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']).end(),
    (response) => {
      response.setHeader('X-Other', '1')
      response.writeHead(200, ['Set-Cookie', 'a=1', 'set-cookie', 'b=2']).end()
    },
  ]
  for (const handler of ways) {
    const text = await bytesOf(await held(handler))
    expect([...text.matchAll(/^set-cookie: (.*)\r$/gim)].map(([, value]) => value)).toEqual([
      'a=1',
      'b=2',
      'seen=1',
    ])
  }
})

test('nothing leaves before it is known, and then all of it', async () => {
  let open: (fields: readonly Field[]) => void = () => {}
  const events: string[] = []
  const port = await held(
    (response) => {
      response.on('finish', () => events.push('finish')).on('close', () => events.push('close'))
      response.write('one', () => events.push('written'))
      response.end('two', () => events.push('ended'))
    },
    new Promise((resolve) => (open = resolve)),
  )
  const { socket, received, all } = dial(port)
  // The answer to the second request on this connection must not overtake the first one's.
  socket.write(requestText())
  socket.write(requestText('GET', 'Connection: close'))
  for (let count = 0; count < 50; count++) await turn()
  expect(received()).toBe('')
  expect(events).toEqual([])
  open([])
  const text = await all
  expect(text.match(/one\r\n3\r\ntwo\r\n0\r\n\r\n/g)).toHaveLength(2)
  expect(events.filter((name) => name === 'finish')).toHaveLength(2)
  expect(events.slice(0, 3).toSorted()).toEqual(['ended', 'finish', 'written'])
})

test('meanwhile the response looks and behaves as one whose headers have left', async () => {
  const seen: unknown[] = []
  const codeOf = (work: () => unknown): unknown => {
    try {
      work()
      return undefined
    } catch (error) {
      return (error as { code: unknown }).code
    }
  }
  const handler: Handler = (response) => {
    seen.push(response.headersSent, response.writableEnded)
    response.writeHead(200, { 'X-One': '1' })
    seen.push(
      response.headersSent,
      response.writableEnded,
      codeOf(() => response.setHeader('X-Late', '1')),
      codeOf(() => response.appendHeader('X-Late', '1')),
      codeOf(() => response.removeHeader('X-One')),
      codeOf(() => response.writeHead(500)),
      codeOf(() => response.write(null)),
      codeOf(() => response.write({})),
      response.getHeader('x-late'),
    )
    response.end('ok')
    seen.push(response.writableEnded, response.headersSent)
  }
  const texts: string[] = []
  const all: unknown[][] = []
  for (const start of [plain, held]) {
    seen.length = 0
    texts.push((await bytesOf(await start(handler))).replace(LINE, ''))
    all.push([...seen])
  }
  expect(all[0]).toContain('ERR_HTTP_HEADERS_SENT')
  expect(all[1]).toEqual(all[0])
  expect(texts[1]).toBe(texts[0])
})

test.each<[string, (response: ServerResponse) => unknown]>([
  ['a status that there is not', (response) => response.writeHead(99)],
  ['a header with a line break', (response) => response.writeHead(200, { 'X-One': 'a\r\nb: c' })],
  ['a name that is none', (response) => response.writeHead(200, { 'X One': 'a' })],
  ['a message with a line break', (response) => response.writeHead(200, 'a\r\nb')],
  ['a body that is none', (response) => response.write(1)],
  [
    'trailers without chunks',
    (response) => response.writeHead(200, { Trailer: 'X-Sum', 'Content-Length': 1 }),
  ],
  [
    'trailers without chunks, set before',
    (response) => response.setHeader('Trailer', 'X-Sum').writeHead(200, { 'Content-Length': 1 }),
  ],
])('what Node.js refuses is refused at once: %s', async (_name, refused) => {
  const handler: Handler = (response) => {
    let code: unknown
    try {
      refused(response)
    } catch (error) {
      ;({ code } = error as { code: unknown })
      for (const name of ['Trailer', 'Content-Length']) response.removeHeader(name)
    }
    if (!response.headersSent) Object.assign(response, { statusCode: 500, statusMessage: '' })
    response.end(String(code))
  }
  const expected = await bytesOf(await plain(handler))
  expect(expected).toContain('ERR_')
  expect((await bytesOf(await held(handler))).replace(LINE, '')).toBe(expected)
})

test('back-pressure: what writes waits, and goes on', async () => {
  const chunk = 'x'.repeat(100_000)
  let produced = 0
  const source = async function* () {
    for (; produced < 50; produced++) yield chunk
  }
  let open: (fields: readonly Field[]) => void = () => {}
  const port = await held(
    (response) => pipeline(Readable.from(source()), response),
    new Promise((resolve) => (open = resolve)),
  )
  const { socket, all } = dial(port)
  socket.write(requestText('GET', 'Connection: close'))
  for (let count = 0; count < 100; count++) await turn()
  expect(produced).toBeLessThan(25)
  open([COOKIE])
  const text = await all
  expect(produced).toBe(50)
  expect(text.match(/x{100000}/g)).toHaveLength(50)
})

test('a writer that waits for drain after one small write gets it', async () => {
  const results: unknown[] = []
  const port = await held(async (response) => {
    const flows = response.write('one')
    results.push(flows, response.writableNeedDrain)
    await once(response, 'drain')
    results.push(response.writableNeedDrain)
    response.end('two')
  })
  expect(await bytesOf(port)).toContain('3\r\ntwo')
  expect(results).toEqual([false, true, false])
})

test('a client that has gone meanwhile does no harm', async () => {
  let open: (fields: readonly Field[]) => void = () => {}
  const errors: unknown[] = []
  let closed: Promise<unknown> = Promise.resolve()
  let began: () => void = () => {}
  const hasBegun = new Promise<void>((resolve) => (began = resolve))
  const port = await held(
    (response) => {
      closed = once(response, 'close')
      response.on('error', (error) => errors.push(error))
      response.write('one', (error) => errors.push((error as { code?: unknown } | null)?.code))
      response.end('two')
      began()
    },
    new Promise((resolve) => (open = resolve)),
  )
  const { socket } = dial(port)
  socket.write(requestText())
  await hasBegun
  socket.destroy()
  await closed
  open([COOKIE])
  await expect.poll(() => errors).toEqual(['ERR_STREAM_DESTROYED'])
})

test('where there is nothing to wait for, calls go straight through', async () => {
  let asked = 0
  const port = await listen((request, response) => {
    addLateFields(request, response, {
      isNeeded: () => ++asked > 99,
      find: () => Promise.reject(new Error('not to be called')),
    })
    const flows = response.writeHead(200, { 'X-One': '1' }).write('one')
    response.end(`, ${flows}, ${response.headersSent}`)
  })
  expect(await bytesOf(port)).toContain('one\r\n')
  expect(await bytesOf(port)).toContain(', true, true\r\n')
  // Once for each response: what happens after its headers have left cannot be in them.
  expect(asked).toBe(2)
})

test('a property of the response that somebody else has set is there again', async () => {
  const calls: string[] = []
  const port = await listen((request, response) => {
    const { setHeader } = response
    response.setHeader = (name, value) => {
      calls.push(name)
      return setHeader.call(response, name, value)
    }
    addLateFields(request, response, {
      isNeeded: () => true,
      find: async () => [{ name: 'X-Late', value: '1', isAdded: false }],
    })
    response.end()
  })
  expect(await bytesOf(port)).toContain('X-Late: 1')
  expect(calls).toEqual(['X-Late'])
})

test('two of them on one response wait one after the other', async () => {
  const seen: boolean[] = []
  const port = await listen((request, response) => {
    for (const name of ['outer', 'inner'])
      addLateFields(request, response, {
        isNeeded: () => true,
        find: async () => {
          await turn()
          seen.push(response.headersSent)
          return [{ name: 'Set-Cookie', value: `${name}=1`, isAdded: true }]
        },
      })
    response.write('one')
    response.end('two')
  })
  const text = await bytesOf(port)
  expect(text).toContain('Set-Cookie: inner=1\r\nSet-Cookie: outer=1\r\n')
  expect(text).toContain('one\r\n3\r\ntwo')
  expect(seen).toEqual([true, true])
})

test('over HTTP/2', async () => {
  const server = createServer((request, response) => {
    const { req, res } = { req: request, res: response } as unknown as {
      req: IncomingMessage
      res: ServerResponse
    }
    addLateFields(req, res, { isNeeded: () => true, find: async () => [COOKIE] })
    res.writeHead(201, { 'X-One': '1' })
    res.write('one')
    res.end(`two ${res.headersSent} ${res.writableEnded}`)
  }).listen(0, '127.0.0.1')
  const client = await new Promise<ClientHttp2Session>((resolve) =>
    server.once('listening', () => {
      const { port } = server.address() as AddressInfo
      const session = connect(`http://127.0.0.1:${port}`, () => resolve(session))
    }),
  )
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  const stream = client.request({ ':path': '/' })
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  expect(headers).toMatchObject({ ':status': 201, 'x-one': '1', 'set-cookie': ['seen=1'] })
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) text += String(chunk)
  expect(text).toBe('onetwo true false')
})

test('middleware that wraps the response before or after it still works', async () => {
  const wrap = (response: ServerResponse, name: string): void => {
    const { writeHead } = response
    response.writeHead = ((...args: Parameters<typeof writeHead>) => {
      response.appendHeader('X-Wrapped', name)
      return writeHead.apply(response, args)
    }) as typeof writeHead
  }
  const port = await listen((request, response) => {
    wrap(response, 'outer')
    addLateFields(request, response, { isNeeded: () => true, find: async () => [COOKIE] })
    wrap(response, 'inner')
    response.end('ok')
  })
  const text = await bytesOf(port)
  expect(text).toMatch(/X-Wrapped: outer/)
  expect(text).toContain(LINE)
})
