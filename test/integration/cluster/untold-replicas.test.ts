import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import type { StaleEvent } from '../../../src/cluster/events.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'

/** Replicas that do not tell how far they have come, while the primary does: Aurora's readers, and others. */
let servers: TestCluster
const opened: Cluster[] = []
const REPLICAS = ['replica1', 'replica2']

beforeAll(async () => {
  servers = await startCluster({ replicas: 2 })
  const admin = connect({ config: servers.config as never })
  opened.push(admin)
  await admin.writer.query(`
    CREATE TABLE posts (id int PRIMARY KEY);
    CREATE ROLE app LOGIN PASSWORD 'app';
    GRANT SELECT, INSERT ON posts TO app;
    REVOKE EXECUTE ON FUNCTION pg_last_wal_replay_lsn() FROM PUBLIC`)
  for (const name of REPLICAS)
    await admin.using(name, () => admin.reader.query('SELECT FROM posts'))
})
afterAll(async () => {
  await Promise.all(opened.map((cluster) => cluster.close({ timeoutMs: 1_000 })))
  await servers?.close()
})

/** Whoever waits for a replica waits longer than the test may take. */
const WAITING = { waitTimeoutMs: 600_000 }

const open = (settings: object): Cluster => {
  const nodes = Object.fromEntries(
    Object.entries(servers.config).map(([name, node]) => [
      name,
      { ...node, username: 'app', password: 'app' },
    ]),
  )
  const tokenKeys = [{ id: 'a', secret: 'a secret of enough characters' }]
  const config = { ...nodes, settings: { ...WAITING, ...settings } } as never
  const cluster = connect({ config, tokenKeys })
  opened.push(cluster)
  return cluster
}
const ids = async (cluster: Cluster) => {
  const { rows, routing } = await cluster.reader.query('SELECT id FROM posts ORDER BY id')
  return { ids: rows.map(({ id }) => id as number), role: routing.role, reason: routing.reason }
}

test('a read after a write waits for no replica: the primary serves, whatever its budget', async () => {
  const cluster = open({ stickyMs: 600_000 })
  const stale: StaleEvent[] = []
  cluster.events.on('stale', (event) => stale.push(event))
  for (const name of REPLICAS) await servers.pauseReplay(name)
  await cluster.writer.query('INSERT INTO posts VALUES (1)')
  const reads = await Promise.all(Array.from({ length: 20 }, () => ids(cluster)))
  for (const read of reads)
    expect(read).toEqual({ ids: [1], role: 'primary', reason: 'not-caught-up' })
  expect(stale).toEqual([])
  // One that has written nothing is nobody's business.
  await cluster.session(async () => expect(await ids(cluster)).toMatchObject({ role: 'replica' }))
  for (const name of REPLICAS) await servers.resumeReplay(name)
})

test('after sticky_ms the replicas serve again', async () => {
  const cluster = open({ stickyMs: 400 })
  await cluster.writer.query('INSERT INTO posts VALUES (2)')
  expect((await ids(cluster)).ids).toContain(2)
  await expect.poll(() => ids(cluster)).toMatchObject({ role: 'replica', reason: 'balanced' })
  await cluster.session(async () => {
    await cluster.writer.query('INSERT INTO posts VALUES (3)')
    expect((await ids(cluster)).ids).toContain(3)
  })
})

test('a token of a session leads to the primary in another process', async () => {
  const [one, other] = [open({ stickyMs: 600_000 }), open({ stickyMs: 600_000 })]
  for (const name of REPLICAS) await servers.pauseReplay(name)
  const token = await one.session(async () => {
    await one.writer.query('INSERT INTO posts VALUES (4)')
    return one.token()
  })
  expect(token).toBeDefined()
  await other.session(
    async () => {
      const read = await ids(other)
      expect(read.ids).toContain(4)
      expect(read.role).toBe('primary')
    },
    { token },
  )
  for (const name of REPLICAS) await servers.resumeReplay(name)
})
