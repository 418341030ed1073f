import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Span } from '@opentelemetry/api'
import type { Histogram } from '@opentelemetry/sdk-metrics'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { QueryEvent } from '../../../src/cluster/events.ts'
import { StrictReadModelError, UniqueViolationError } from '../../../src/errors.ts'
import { StrictReadBase } from '../../../src/models/strict-read-base.ts'
import { StrictWriteBase } from '../../../src/models/strict-write-base.ts'
import { closedPorts, useCluster, withDeadReplicas } from '../../support/cluster.ts'
import { registerSdk } from '../../support/spans.ts'
import type { Sdk } from '../../support/spans.ts'

const fixture = useCluster('CREATE TABLE posts (id int PRIMARY KEY, title text)')
/** Given as a value, never as a part of a text: it must be found nowhere. */
const SECRET = 'canary-value-7391'

let sdk: Sdk
beforeAll(() => {
  sdk = registerSdk()
})
afterAll(() => sdk.remove())
beforeEach(async () => {
  await fixture.db.admin.query('TRUNCATE posts')
  sdk.spans()
})
afterEach(() => {
  vi.restoreAllMocks()
})

const models = (cluster = fixture.open()) => ({
  cluster,
  PostCommand: class PostCommand extends StrictWriteBase {
    static override tableName = 'posts'
    static override cluster = cluster
    static override columns = { id: 'number', title: 'text' } as const
    declare id: number
    declare title: string
  },
  PostQuery: class PostQuery extends StrictReadBase {
    static override tableName = 'posts'
    static override cluster = cluster
    static override columns = { id: 'number', title: 'text' } as const
    declare id: number
    declare title: string
  },
})

const names = (spans: readonly ReadableSpan[]): string[] => spans.map(({ name }) => name)
const parentOf = (span: ReadableSpan | undefined): string | undefined =>
  span?.parentSpanContext?.spanId
const idOf = (span: ReadableSpan | undefined): string | undefined => span?.spanContext().spanId

/** Runs a function under a span of the application's own. */
const inRequest = async (fn: () => Promise<unknown>): Promise<Span> => {
  const tracer = trace.getTracer('application')
  return tracer.startActiveSpan('request', async (span) => {
    await fn()
    expect(trace.getActiveSpan()).toBe(span)
    span.end()
    return span
  })
}

test('a write and a read of models are spans that say what, where and why', async () => {
  const { PostCommand, PostQuery } = models()
  const { master } = fixture.db.config
  const request = await inRequest(async () => {
    await PostCommand.create({ id: 1, title: SECRET })
    expect(await PostQuery.where({ title: SECRET }).first()).toMatchObject({ id: 1 })
  })
  const [write, read] = sdk.spans()
  expect(write).toMatchObject({
    name: 'INSERT posts',
    kind: SpanKind.CLIENT,
    status: { code: SpanStatusCode.UNSET },
    instrumentationScope: { name: 'segregato' },
    attributes: {
      'db.system.name': 'postgresql',
      'db.namespace': master.database,
      'db.operation.name': 'INSERT',
      'db.collection.name': 'posts',
      'db.query.summary': 'INSERT posts',
      'db.query.text': expect.stringMatching(/^insert into "posts" .*\$1/i),
      'server.address': master.host,
      'server.port': master.port,
      'segregato.node': 'master',
      'segregato.role': 'primary',
      'segregato.reason': 'write',
      'segregato.waited_ms': 0,
    },
  })
  const node = read?.attributes['segregato.node'] as 'replica1'
  expect(read).toMatchObject({
    name: 'SELECT posts',
    attributes: {
      'server.port': fixture.db.config[node]?.port,
      'segregato.role': 'replica',
      'segregato.reason': 'balanced',
      'segregato.waited_ms': expect.any(Number),
    },
  })
  expect(parentOf(write)).toBe(request.spanContext().spanId)
  expect(parentOf(read)).toBe(request.spanContext().spanId)
  expect(JSON.stringify([write?.attributes, read?.attributes])).not.toContain(SECRET)
})

test("SQL of the caller's own is a span without its text", async () => {
  const { cluster } = models()
  await cluster.reader.query(`SELECT '${SECRET}' AS secret, $1::int`, [1])
  await cluster.reader.query({ name: 'named', text: `/* ${SECRET} */ values (1)` })
  await cluster.writer.query(`"${SECRET}"`).catch(() => undefined)
  const spans = sdk.spans()
  expect(names(spans)).toEqual(['SELECT', 'VALUES', fixture.db.config.master.database])
  const shown = spans.map(({ attributes, events, status }) => ({ attributes, events, status }))
  expect(JSON.stringify(shown)).not.toContain(SECRET)
  expect(spans[0]?.attributes).not.toHaveProperty('db.operation.name')
  expect(spans[0]?.attributes).not.toHaveProperty('db.query.text')
})

test("pg's own spans nest under ours, callbacks run in the caller's", async () => {
  const { cluster } = models()
  const active: [sent: string | undefined, span: string | undefined][] = []
  const query = Reflect.get(pg.Client.prototype, 'query')
  vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (
    this: pg.Client,
    ...args: unknown[]
  ) {
    const span = trace.getActiveSpan() as unknown as ReadableSpan | undefined
    active.push([(args[0] as pg.QueryConfig).text, span?.name])
    return Reflect.apply(query, this, args)
  } as never)
  let inCallback: Span | undefined
  const request = await inRequest(async () => {
    await cluster.reader.query('SELECT 1')
    const client = await cluster.writer.connect()
    await new Promise<void>((resolve) =>
      client.query('UPDATE posts SET id = 1 WHERE false', () => {
        inCallback = trace.getActiveSpan()
        resolve()
      }),
    )
    client.release()
  })
  expect(inCallback).toBe(request)
  // Other statements are the library's own, about a connection that has just been opened.
  const ours = active.filter(([sent]) => sent === 'SELECT 1' || sent?.startsWith('UPDATE'))
  expect(ours.map(([, span]) => span)).toEqual(['SELECT', 'UPDATE'])
})

test('a transaction is a span around its statements, nested ones and reads included', async () => {
  const { cluster, PostCommand, PostQuery } = models()
  const request = await inRequest(() =>
    cluster.transaction(async () => {
      await PostCommand.create({ id: 1, title: 'one' })
      await cluster.transaction(() => PostQuery.find(1))
      await cluster.writer.query('SELECT 1')
      const client = await cluster.reader.connect()
      await client.query('VALUES (1)')
      client.release()
    }),
  )
  const spans = sdk.spans()
  expect(names(spans)).toEqual([
    'INSERT posts',
    'SELECT posts',
    'transaction',
    'SELECT',
    'VALUES',
    'transaction',
    'request',
  ])
  const [insert, select, inner, raw, lent, outer] = spans
  expect(parentOf(outer)).toBe(request.spanContext().spanId)
  for (const span of [insert, inner, raw, lent]) expect(parentOf(span)).toBe(idOf(outer))
  expect(parentOf(select)).toBe(idOf(inner))
  expect(outer).toMatchObject({
    kind: SpanKind.INTERNAL,
    attributes: { 'segregato.node': 'master', 'segregato.reason': 'transaction' },
  })
  expect(insert?.attributes).toMatchObject({ 'segregato.reason': 'transaction' })
})

test('a snapshot is a span on its replica', async () => {
  const { cluster, PostQuery } = models()
  await cluster.snapshot(() => PostQuery.all())
  const [read, snapshot] = sdk.spans()
  expect(names([read!, snapshot!])).toEqual(['SELECT posts', 'snapshot'])
  expect(parentOf(read)).toBe(idOf(snapshot))
  expect(snapshot?.attributes).toMatchObject({
    'segregato.role': 'replica',
    'segregato.reason': 'snapshot',
  })
  expect(read?.attributes['segregato.node']).toBe(snapshot?.attributes['segregato.node'])
})

test('an error is told by its codes and never by its text', async () => {
  const { cluster, PostCommand } = models()
  await PostCommand.create({ id: 1, title: SECRET })
  sdk.spans()
  await expect(PostCommand.create({ id: 1, title: SECRET })).rejects.toThrow(UniqueViolationError)
  await expect(cluster.reader.query(`SELECT '${SECRET}'::int`)).rejects.toMatchObject({
    code: '22P02',
  })
  await expect(cluster.reader.query(`SELECT nextval('x')`)).rejects.toBeInstanceOf(Error)
  await expect(cluster.reader.query('ALTER SYSTEM RESET ALL')).rejects.toThrow(StrictReadModelError)
  const failed = cluster.transaction(async () => {
    await cluster.writer.query('SELECT 1')
    throw new TypeError(SECRET)
  })
  await expect(failed).rejects.toThrow(TypeError)
  const spans = sdk.spans()
  expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual([
    '23505',
    '22P02',
    '42P01',
    'SEGREGATO_STRICT_READ',
    undefined,
    'TypeError',
  ])
  expect(spans.map(({ attributes }) => attributes['db.response.status_code'])).toEqual([
    '23505',
    '22P02',
    '42P01',
    undefined,
    undefined,
    undefined,
  ])
  expect(spans.map(({ status }) => status)).toEqual(
    [2, 2, 2, 2, 0, 2].map((code) => ({ code: code as SpanStatusCode })),
  )
  expect(JSON.stringify(spans.map(({ attributes, events }) => [attributes, events]))).not.toContain(
    SECRET,
  )
})

test('a retry is an event of the span and counted', async () => {
  const dead = await closedPorts(2)
  const cluster = fixture.open({}, (config) => withDeadReplicas(config, dead))
  await cluster.reader.query('SELECT 1')
  const [span, ...others] = sdk.spans()
  expect(others).toEqual([])
  expect(span).toMatchObject({
    name: 'SELECT',
    status: { code: SpanStatusCode.UNSET },
    attributes: { 'segregato.node': 'master', 'segregato.reason': 'no-replica' },
  })
  // A replica that its first probe has found dead is not tried any more.
  const failed = span?.events.map(({ attributes }) => attributes?.['segregato.node']) ?? []
  expect(['replica1', 'replica2']).toEqual(expect.arrayContaining(failed))
  expect(failed.length).toBeGreaterThan(0)
  expect(span?.events.map(({ name, attributes }) => [name, attributes])).toEqual(
    failed.map((node) => [
      'segregato.attempt_failed',
      { 'segregato.node': node, 'error.type': 'ECONNREFUSED' },
    ]),
  )
  const retries = await sdk.points('segregato.retries')
  expect(retries.map(({ value }) => value)).toEqual(failed.map(() => 1))
})

test('durations, connections and nodes are measured under the names of the conventions', async () => {
  const { cluster, PostQuery } = models()
  await PostQuery.all()
  await cluster.transaction(() => cluster.writer.query('TRUNCATE posts'))
  await cluster.writer.query('SELECT 1/0').catch(() => undefined)
  const durations = await sdk.points('db.client.operation.duration')
  const of = (wanted: object) =>
    durations.filter(({ attributes }) =>
      Object.entries(wanted).every(([key, value]) => attributes[key] === value),
    )
  const [read] = of({ 'db.query.summary': 'SELECT posts', 'db.operation.name': 'SELECT' })
  expect((read!.value as Histogram).buckets.boundaries).toEqual([
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10,
  ])
  expect(read?.attributes).toMatchObject({
    'db.system.name': 'postgresql',
    'db.namespace': fixture.db.config.master.database,
    'db.collection.name': 'posts',
    'segregato.role': 'replica',
  })
  expect(read?.attributes).not.toHaveProperty('db.query.text')
  expect(of({ 'error.type': '22012', 'db.response.status_code': '22012' })).toHaveLength(1)
  // A transaction's time is that of its statements and of the application: no operation of its own.
  expect(of({ 'db.query.summary': 'TRUNCATE' })).toHaveLength(1)
  expect(durations.every(({ attributes }) => 'server.port' in attributes)).toBe(true)

  const { host, port, database } = fixture.db.config.master
  const pool = `${host}:${port}/${database} (write)`
  const used = (await sdk.points('db.client.connection.count')).filter(
    ({ attributes }) => attributes['db.client.connection.pool.name'] === pool,
  )
  expect(used.map(({ attributes }) => attributes['db.client.connection.state'])).toEqual(
    expect.arrayContaining(['idle', 'used']),
  )
  const max = await sdk.points('db.client.connection.max')
  expect(max.map(({ value }) => value)).toContain(fixture.db.config.master.pool)
  expect(await sdk.points('db.client.connection.pending_requests')).not.toEqual([])
  const available = await sdk.points('segregato.node.available')
  expect(available.map(({ attributes }) => attributes['segregato.node'])).toEqual(
    expect.arrayContaining(['master', 'replica1', 'replica2']),
  )
})

test('a cluster that is closed is measured no more', async () => {
  const cluster = fixture.open({}, (config) => ({
    ...config,
    lone: { ...config.replica1, tags: ['lone'] },
    settings: { allowSameServer: true },
  }))
  await cluster.reader.query('SELECT 1')
  const lone = async () =>
    (await sdk.points('segregato.node.available')).filter(
      ({ attributes }) => attributes['segregato.node'] === 'lone',
    )
  expect(await lone()).toHaveLength(1)
  await cluster.close()
  expect(await lone()).toEqual([])
})

test('statements of a lent client and of a stream are published one by one', async () => {
  const { cluster, PostCommand, PostQuery } = models()
  await PostCommand.insertAll([1, 2, 3].map((id) => ({ id, title: 'x' })))
  const events: QueryEvent[] = []
  cluster.events.on('query', (event) => events.push(event))
  sdk.spans()
  for (const pool of [cluster.writer, cluster.reader]) {
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query('SELECT $1::int', [1])
    await client.query('SELECT 1/0').catch(() => undefined)
    await client.query('ROLLBACK')
    client.release()
  }
  expect(names(sdk.spans())).toEqual(
    ['BEGIN', 'SELECT', 'SELECT', 'ROLLBACK', 'BEGIN', 'SELECT', 'SELECT', 'ROLLBACK'], // prettier-ignore
  )
  expect(events.map(({ reason, outcome }) => `${reason} ${outcome}`)).toEqual([
    'write ok',
    'write ok',
    'write error',
    'write ok',
    'balanced ok',
    'balanced ok',
    'balanced error',
    'balanced ok',
  ])
  // A connection that came back is the library's again: its statements are published once.
  await cluster.writer.query('SELECT 1')
  expect(sdk.spans()).toHaveLength(1)

  events.length = 0
  const seen: number[] = []
  for await (const post of PostQuery.orderBy('id').stream({ pageSize: 2 })) seen.push(post.id)
  expect(seen).toEqual([1, 2, 3])
  expect(names(sdk.spans())).toEqual([
    'BEGIN',
    'DECLARE posts',
    'FETCH posts',
    'FETCH posts',
    'CLOSE posts',
  ])
  expect(new Set(events.map(({ node }) => node)).size).toBe(1)
})

test('nothing is registered, nothing is made: also after something was', async () => {
  const { cluster } = models()
  await cluster.reader.query('SELECT 1')
  expect(sdk.spans()).toHaveLength(1)
  await sdk.remove()
  await cluster.reader.query('SELECT 1')
  const retired = sdk
  expect(retired.spans()).toEqual([])
  sdk = registerSdk()
  await context.with(context.active(), () => cluster.reader.query('SELECT 1'))
  expect(sdk.spans()).toHaveLength(1)
  expect(await sdk.points('db.client.operation.duration')).toHaveLength(1)
})
