import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'

/** One replica that shows everything late, and a program that knows nothing of the library's sessions. */
let servers: TestCluster
let other: Cluster
let ours: Cluster

beforeAll(async () => {
  servers = await startCluster({ replicas: 1 })
  const config = { ...servers.config, settings: { waitTimeoutMs: 20_000 } }
  other = connect({ config })
  ours = connect({ config })
  await other.writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
})
afterAll(async () => {
  await Promise.all([other, ours].map((cluster) => cluster?.close({ timeoutMs: 1_000 })))
  await servers?.close()
})

const count = async (): Promise<[number, string]> => {
  const { rows, routing } = await ours.reader.query('SELECT count(*)::int AS count FROM posts')
  return [rows[0].count, routing.role]
}

test('a SELECT of a function through writer takes what others have written into the session', async () => {
  await ours.session(async () => {
    await ours.writer.query('SELECT now()')
    expect(await count()).toEqual([0, 'replica'])
  })
  await servers.pauseReplay('replica1')
  await other.writer.query('INSERT INTO posts VALUES (1)')
  await ours.session(async () => expect(await count()).toEqual([0, 'replica']))
  const seen = ours.session(async () => {
    await ours.writer.query('SELECT now()')
    const late = count()
    await servers.resumeReplay('replica1')
    return late
  })
  expect(await seen).toEqual([1, 'replica'])
})
