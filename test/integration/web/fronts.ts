/**
 * A program that tests start: one small application behind each of the frameworks, with each of several
 * sets of options. `CONFIG` is the cluster's configuration, `TOKEN_KEY` signs. Prints the ports.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { stream } from 'hono/streaming'
import Koa from 'koa'
import { connect } from 'segregato'
import {
  health,
  metrics,
  readYourWrites,
  readYourWritesFastify,
  readYourWritesHono,
  readYourWritesKoa,
  ready,
  type ReadYourWritesOptions,
} from 'segregato/web'

const { CONFIG = '', TOKEN_KEY = '' } = process.env
const cluster = connect({
  config: JSON.parse(CONFIG) as never,
  tokenKeys: [{ id: 'k1', secret: TOKEN_KEY }],
})
const probes = { '/health': health(), '/ready': ready(cluster), '/metrics': metrics(cluster) }

/** What the application answers, before a framework sends it. */
interface Reply {
  readonly status: number
  readonly text: string
  /** Read from the cluster while it is sent. */
  readonly parts?: AsyncIterable<string>
}

const isThere = async (id: string): Promise<boolean> => {
  const { rows } = await cluster.reader.query('SELECT FROM posts WHERE id = $1', [id])
  return rows.length > 0
}

/** `/write/1/201`: writes post 1, then answers 201. `/read/1`: whether post 1 is there. */
const answer = async (path: string, body: string): Promise<Reply> => {
  const [, action = '', id = '', status = '200'] = path.split('/')
  if (action === 'read') return { status: 200, text: String(await isThere(id)) }
  if (action === 'read-stream') {
    const parts = (async function* () {
      yield 'it is '
      yield String(await isThere(id))
    })()
    return { status: 200, text: '', parts }
  }
  if (action === 'nothing') return { status: Number(status), text: 'nothing' }
  await cluster.writer.query('INSERT INTO posts VALUES ($1)', [body === '' ? id : body])
  if (action === 'fail') throw new Error('after the write')
  if (action === 'write-stream') {
    const parts = (async function* () {
      for (const part of ['one', 'two', 'three']) yield part
    })()
    return { status: 200, text: '', parts }
  }
  return { status: Number(status), text: status === '304' ? '' : 'written' }
}

/** By events, as programs without a framework do. */
const bodyOf = (request: IncomingMessage, then: (body: string) => void): void => {
  let text = ''
  request.setEncoding('utf8').on('data', (chunk) => (text += String(chunk)))
  request.on('end', () => then(text))
}

const plain = (options: ReadYourWritesOptions): RequestListener => {
  const session = readYourWrites(cluster, options)
  return (request, response) => {
    session(request, response, () => {
      const path = request.url ?? ''
      const probe = probes[path as keyof typeof probes]
      if (probe !== undefined) return probe(request, response)
      bodyOf(request, (body) => {
        answer(path, body).then(
          ({ status, text, parts }) => {
            response.writeHead(status, ['Set-Cookie', 'own=1', 'Content-Type', 'text/plain'])
            if (parts === undefined) response.end(text)
            else Readable.from(parts).pipe(response)
          },
          () => response.writeHead(500).end('failed'),
        )
      })
    })
  }
}

const withExpress = (options: ReadYourWritesOptions): RequestListener => {
  const app = express()
  app.use(readYourWrites(cluster, options))
  for (const [path, probe] of Object.entries(probes)) app.get(path, probe)
  app.use(express.text(), async (request, response) => {
    const { status, text, parts } = await answer(request.path, String(request.body ?? ''))
    response.status(status).cookie('own', '1').type('text')
    if (parts === undefined) response.send(text)
    else Readable.from(parts).pipe(response)
  })
  return app
}

const withFastify = async (options: ReadYourWritesOptions): Promise<RequestListener> => {
  const app = fastify()
  await app.register(readYourWritesFastify(cluster, options))
  for (const [path, probe] of Object.entries(probes)) app.get(path, () => probe.answer())
  app.route({
    method: ['GET', 'POST'],
    url: '*',
    handler: async (request, reply) => {
      const body = typeof request.body === 'string' ? request.body : ''
      const { status, text, parts } = await answer(request.url, body)
      reply.code(status).header('set-cookie', 'own=1').type('text/plain')
      return parts === undefined ? text : Readable.from(parts)
    },
  })
  await app.ready()
  return (request, response) => app.routing(request, response)
}

const withKoa = (options: ReadYourWritesOptions): RequestListener => {
  const app = new Koa()
  app.silent = true
  app.use(readYourWritesKoa(cluster, options))
  app.use(async (context) => {
    const probe = probes[context.path as keyof typeof probes]
    if (probe !== undefined) {
      context.respond = false
      return probe(context.req, context.res)
    }
    const body = await new Promise<string>((resolve) => bodyOf(context.req, resolve))
    const { status, text, parts } = await answer(context.path, body)
    context.status = status
    context.append('Set-Cookie', 'own=1')
    context.type = 'text'
    context.body = parts === undefined ? text : Readable.from(parts)
  })
  const handle = app.callback()
  return (request, response) => void handle(request, response)
}

const withHono = (options: ReadYourWritesOptions) => {
  const app = new Hono()
  app.use(readYourWritesHono(cluster, options))
  for (const [path, probe] of Object.entries(probes)) app.get(path, () => probe.answer())
  app.onError((_error, context) => context.text('failed', 500))
  app.all('*', async (context) => {
    const { status, text, parts } = await answer(context.req.path, await context.req.text())
    context.header('Set-Cookie', 'own=1')
    if (parts !== undefined)
      return stream(context, async (out) => {
        for await (const part of parts) await out.write(part)
      })
    if (status === 304) return context.body(null, 304)
    return context.text(text, status as ContentfulStatusCode)
  })
  return createAdaptorServer({ fetch: app.fetch })
}

const FRONTS = {
  node: async (options: ReadYourWritesOptions) => createServer(plain(options)),
  express: async (options: ReadYourWritesOptions) => createServer(withExpress(options)),
  fastify: async (options: ReadYourWritesOptions) => createServer(await withFastify(options)),
  koa: async (options: ReadYourWritesOptions) => createServer(withKoa(options)),
  hono: async (options: ReadYourWritesOptions) => withHono(options),
}
export type Front = keyof typeof FRONTS

const OPTIONS = {
  usual: {},
  header: { cookie: false, header: 'X-Seen' },
  monotonic: { monotonicReads: true },
} as const
export type Choice = keyof typeof OPTIONS

const ports: Record<string, number> = {}
for (const [front, create] of Object.entries(FRONTS)) {
  for (const [choice, options] of Object.entries(OPTIONS)) {
    const server = await create(options)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ports[`${front} ${choice}`] = (server.address() as AddressInfo).port
  }
}
process.stdout.write(`${JSON.stringify(ports)}\n`)
