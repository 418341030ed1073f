/** Row C1 of the catalogue of faults: a host name that leads to another address than before. */
import dns from 'node:dns'
import { once } from 'node:events'
import { connect as connectTo, createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { connect } from '../../src/cluster/connect.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/start-cluster.ts'
import { WHO } from '../support/cluster.ts'

const NAME = 'reader.segregato.test'
const FIRST = { address: '127.0.0.1', family: 4 }
/** macOS has no second IPv4 address of its own. */
const SECOND =
  process.platform === 'darwin'
    ? { address: '::1', family: 6 }
    : { address: '127.0.0.2', family: 4 }

let servers: TestCluster
const ways: Server[] = []
const opened: Cluster[] = []
let found = FIRST
let lookups = 0

/** A way to a server that has an address of its own; both have one port. */
const openWay = async (target: string, host: string, port = 0): Promise<number> => {
  const way = createServer((client) => {
    const onward = connectTo(servers.config[target]!.port, '127.0.0.1')
    for (const [from, to] of [
      [client, onward],
      [onward, client],
    ] as const) {
      from.on('error', () => to.destroy())
      from.pipe(to)
    }
  })
  ways.push(way)
  way.listen(port, host)
  await once(way, 'listening')
  return (way.address() as AddressInfo).port
}

beforeAll(async () => {
  servers = await startCluster({ replicas: 2 })
  const { lookup } = dns
  type Callback = (error: Error | null, what: unknown, family?: number) => void
  vi.spyOn(dns, 'lookup').mockImplementation(((name: string, options: object, done: Callback) => {
    if (name !== NAME) return lookup(name, options, done as never)
    lookups++
    const all = 'all' in options && options.all === true
    return process.nextTick(() =>
      all ? done(null, [found]) : done(null, found.address, found.family),
    )
  }) as never)
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((cluster) => cluster.close({ timeoutMs: 1_000 })))
})
afterAll(async () => {
  vi.restoreAllMocks()
  await servers?.close()
  for (const way of ways) way.close()
})

test('C1: connections of a name that leads elsewhere move with their age, and no read fails', async () => {
  const port = await openWay('replica1', FIRST.address)
  await openWay('replica2', SECOND.address, port)
  found = FIRST
  const { master, replica1, replica2 } = servers.config
  const reader = { ...replica1!, host: NAME, port, ssl: false, maxLifetimeMs: 300 }
  const cluster = connect({ config: { master, reader } as never })
  opened.push(cluster)
  const answering = async () => {
    const { rows, routing } = await cluster.reader.query(WHO)
    // Never the primary in its place.
    expect(routing.node).toBe('reader')
    return rows[0].port as number
  }
  for (let turn = 0; turn < 5; turn++) expect(await answering()).toBe(replica1!.port)
  const before = lookups
  found = SECOND
  await expect.poll(answering).toBe(replica2!.port)
  expect(lookups).toBeGreaterThan(before)
})
