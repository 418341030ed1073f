import type { RequestListener } from 'node:http'
import type { RequestHandler } from 'express'
import type { FastifyInstance, FastifyPluginCallback } from 'fastify'
import fastify from 'fastify'
import { Hono } from 'hono'
import type { MiddlewareHandler } from 'hono'
import Koa from 'koa'
import { connect, type Cluster } from 'segregato'
import {
  health,
  metrics,
  readYourWrites,
  readYourWritesFastify,
  readYourWritesHono,
  readYourWritesKoa,
  ready,
} from 'segregato/web'
import { expectTypeOf, test } from 'vitest'

declare const cluster: Cluster

test('the middleware is what each framework takes', () => {
  expectTypeOf(readYourWrites(cluster)).toExtend<RequestHandler>()
  expectTypeOf(readYourWritesFastify(cluster)).toExtend<FastifyPluginCallback>()
  expectTypeOf(readYourWritesHono(cluster)).toExtend<MiddlewareHandler>()
  expectTypeOf(readYourWritesKoa(cluster)).toExtend<Koa.Middleware>()
})

test('and the frameworks take it', () => {
  const server: FastifyInstance = fastify()
  void server.register(readYourWritesFastify(cluster))
  new Koa().use(readYourWritesKoa(cluster))
  new Hono().use(readYourWritesHono(cluster)).use('/posts/*', readYourWritesHono(cluster))
})

test('handlers fit node:http, Express and those that send a Response', () => {
  for (const handler of [health(), ready(cluster), metrics(cluster)]) {
    expectTypeOf(handler).toExtend<RequestListener>()
    expectTypeOf(handler).toExtend<RequestHandler>()
    expectTypeOf(handler.answer).returns.resolves.toEqualTypeOf<Response>()
  }
})

test('options are checked', () => {
  readYourWrites(connect(), { cookie: false, header: 'x-session-token' })
  readYourWrites(cluster, { cookie: { name: 'seen', maxAgeMs: 1_000, secure: true } })
  // @ts-expect-error no such value
  readYourWrites(cluster, { cookie: { sameSite: 'sometimes' } })
  // @ts-expect-error a cookie is an object, or false
  readYourWrites(cluster, { cookie: 'seen' })
})

test('what a session tells', () => {
  expectTypeOf(cluster.session(async ({ hasWritten }) => hasWritten)).resolves.toBeBoolean()
  expectTypeOf(cluster.session((open) => open.movedToken())).resolves.toEqualTypeOf<
    string | undefined
  >()
})
