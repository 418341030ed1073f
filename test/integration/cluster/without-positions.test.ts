import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'

/** Servers that do not tell an ordinary user where they stand. */
let servers: TestCluster
const opened: Cluster[] = []

beforeAll(async () => {
  servers = await startCluster({ replicas: 2 })
  const admin = connect({ config: servers.config as never })
  opened.push(admin)
  await admin.writer.query(`
    CREATE TABLE posts (id int PRIMARY KEY);
    CREATE ROLE app LOGIN PASSWORD 'app';
    GRANT SELECT, INSERT ON posts TO app;
    REVOKE EXECUTE ON FUNCTION pg_current_wal_flush_lsn(), pg_current_wal_insert_lsn(),
      pg_current_wal_lsn(), pg_last_wal_replay_lsn() FROM PUBLIC`)
  // Both replicas have that.
  for (const name of ['replica1', 'replica2']) {
    await admin.using(name, () => admin.reader.query('SELECT FROM posts'))
  }
})
afterAll(async () => {
  await Promise.all(opened.map((cluster) => cluster.close({ timeoutMs: 1_000 })))
  await servers?.close()
})

const open = (settings: object): Cluster => {
  const nodes = Object.fromEntries(
    Object.entries(servers.config).map(([name, node]) => [
      name,
      { ...node, username: 'app', password: 'app' },
    ]),
  )
  const cluster = connect({ config: { ...nodes, settings } as never })
  opened.push(cluster)
  return cluster
}
const ids = async (cluster: Cluster) => {
  const { rows, routing } = await cluster.reader.query('SELECT id FROM posts ORDER BY id')
  return { ids: rows.map(({ id }) => id as number), role: routing.role, reason: routing.reason }
}

test('after a write the session reads from the primary for a while, and then from replicas again', async () => {
  const cluster = open({ stickyMs: 400 })
  const paused = open({ stickyMs: 600_000 })
  expect(await ids(cluster)).toMatchObject({ role: 'replica' })
  for (const name of ['replica1', 'replica2']) await servers.pauseReplay(name)
  await paused.writer.query('INSERT INTO posts VALUES (1)')
  expect(await ids(paused)).toEqual({ ids: [1], role: 'primary', reason: 'not-caught-up' })
  // Another session that wrote nothing is not affected; the process is.
  await paused.session(async () => expect(await ids(paused)).toMatchObject({ role: 'replica' }))
  expect(await ids(paused)).toMatchObject({ ids: [1], role: 'primary' })
  for (const name of ['replica1', 'replica2']) await servers.resumeReplay(name)
  await cluster.writer.query('INSERT INTO posts VALUES (2)')
  await expect.poll(() => ids(cluster), { timeout: 20_000 }).toMatchObject({ role: 'replica' })
})

test('an explicit session reads its writes, and has no token', async () => {
  const cluster = open({ stickyMs: 600_000 })
  await cluster.session(async () => {
    await cluster.writer.query('INSERT INTO posts VALUES (3)')
    const read = await ids(cluster)
    expect(read.role).toBe('primary')
    expect(read.ids).toContain(3)
    expect(await cluster.token()).toBeUndefined()
  })
})

test('a primary that is gone does not take the reads with it', async () => {
  const cluster = open({ stickyMs: 600_000 })
  const stale: unknown[] = []
  cluster.events.on('stale', (event) => stale.push(event))
  await cluster.writer.query('INSERT INTO posts VALUES (4)')
  expect(await ids(cluster)).toMatchObject({ role: 'primary' })
  await servers.kill('master')
  expect(await ids(cluster)).toMatchObject({ role: 'replica', reason: 'stale' })
  expect(stale).toHaveLength(1)
  expect(cluster.status().counts.staleReads).toBe(1)
})
