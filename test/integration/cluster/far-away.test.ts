import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../../src/cluster/connect.ts'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import type { NodeEvent } from '../../../src/cluster/events.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import { WHO } from '../../support/cluster.ts'
import { openFaultProxy } from '../../support/fault-proxy.ts'
import type { FaultProxy } from '../../support/fault-proxy.ts'

/** Servers on another continent: logging in alone takes four round trips. */
const ONE_WAY_MS = 100

let servers: TestCluster
let ways: FaultProxy[] = []
let cluster: Cluster

beforeAll(async () => {
  servers = await startCluster({ replicas: 2 })
  const nodes = Object.entries(servers.config)
  ways = await Promise.all(nodes.map(([, node]) => openFaultProxy(node)))
  await Promise.all(ways.map((way) => way.set('delay', { delayMs: ONE_WAY_MS })))
  cluster = connect({
    config: {
      ...Object.fromEntries(
        nodes.map(([name, node], index) => [
          name,
          { ...node, port: ways[index]!.port, connectTimeoutMs: 20_000 },
        ]),
      ),
      // To ask a replica how far it has come takes a round trip.
      settings: { waitTimeoutMs: 10_000 },
    } as never,
  })
})
afterAll(async () => {
  await cluster?.close({ timeoutMs: 2_000 })
  await Promise.all(ways.map((way) => way.close()))
  await servers?.close()
})

test('far away is not dead: nodes are verified, watched, written to and read from', async () => {
  const seen: NodeEvent[] = []
  cluster.events.on('node', (event) => seen.push(event))
  expect(await cluster.verify()).toHaveLength(3)
  await cluster.writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
  // Each is probed several times meanwhile.
  for (let id = 0; id < 5; id++) {
    await cluster.writer.query('INSERT INTO posts VALUES ($1)', [id])
    const { rows } = await cluster.reader.query('SELECT id FROM posts WHERE id = $1', [id])
    expect(rows).toEqual([{ id }])
  }
  await expect
    .poll(async () => (await cluster.reader.query(WHO)).rows[0].replica, { timeout: 20_000 })
    .toBe(true)
  expect(seen).toEqual([])
})
