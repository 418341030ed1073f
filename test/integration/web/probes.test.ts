import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import { metrics } from '../../../src/web/metrics.ts'
import { ready } from '../../../src/web/probes.ts'
import { readYourWrites } from '../../../src/web/read-your-writes.ts'

/** Servers of its own, since they are stopped. */
let servers: TestCluster
beforeAll(async () => {
  servers = await startCluster({ replicas: 1 })
})
afterAll(() => servers?.close())

const open = (): Cluster => {
  const cluster = connect({ config: servers.config })
  onTestFinished(() => cluster.close({ timeoutMs: 1_000 }))
  return cluster
}
const stateOf = async (handler: ReturnType<typeof ready>): Promise<unknown> => {
  const response = await handler.answer()
  return [response.status, await response.json()]
}
/** A loaded machine may not answer within the limit at once. */
const becomes = (handler: ReturnType<typeof ready>, state: unknown): Promise<void> =>
  expect.poll(() => stateOf(handler), { timeout: 20_000 }).toEqual(state)

const READY = [200, { status: 'ready', reads: 'ok', writes: 'ok' }]
const READS_ONLY = [200, { status: 'ready', reads: 'ok', writes: 'failing' }]
const NOTHING = [503, { status: 'unready', reads: 'failing', writes: 'failing' }]

test('ready follows what the servers can do', { timeout: 90_000 }, async () => {
  const cluster = open()
  const handler = ready(cluster, { timeoutMs: 2_000, maxAgeMs: 1 })
  const counted = metrics(cluster)
  await becomes(handler, READY)

  await servers.stop('master')
  await becomes(handler, READS_ONLY)
  // What holds around the request that happened to ask does not hold for all the others.
  expect(await cluster.using('master', () => stateOf(handler))).toEqual(READS_ONLY)
  await servers.stop('replica1')
  await becomes(handler, NOTHING)
  const text = await (await counted.answer()).text()
  expect(text).toMatch(/^segregato_errors_total\{node="\w+",operation="read"\} [1-9]/m)
  expect(text).toMatch(/^segregato_errors_total\{node="master",operation="write"\} [1-9]/m)
  expect(text).toMatch(/^segregato_quarantines_total\{node="replica1",state="quarantined"\} [1-9]/m)

  await servers.start('master')
  await servers.start('replica1')
  await becomes(handler, READY)
  await cluster.close()
  expect(await stateOf(handler)).toEqual([
    503,
    { status: 'closed', reads: 'failing', writes: 'failing' },
  ])
})

test('servers that accept connections and say nothing are not waited for', async () => {
  const cluster = open()
  const handler = ready(cluster, { timeoutMs: 300, maxAgeMs: 1 })
  await becomes(handler, READY)
  await servers.freeze('master')
  try {
    await becomes(handler, READS_ONLY)
  } finally {
    await servers.thaw('master')
  }
  await becomes(handler, READY)
})

test('what is asked for readiness is in the session of no request', async () => {
  const cluster = open()
  const session = readYourWrites(cluster, { monotonicReads: true })
  const handler = ready(cluster, { maxAgeMs: 1 })
  const server = createServer((request, response) => {
    session(request, response, () => {
      if (request.url === '/ready') return handler(request, response)
      void cluster.reader.query('SELECT 1').then(() => response.end())
    })
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const response = await fetch(`${url}/ready`)
  expect(await response.json()).toMatchObject({ status: 'ready' })
  expect(response.headers.getSetCookie()).toEqual([])
  expect((await fetch(url)).headers.getSetCookie()).toHaveLength(1)
})
