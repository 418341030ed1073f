import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import { openFaultProxy } from '../../support/fault-proxy.ts'
import type { FaultProxy } from '../../support/fault-proxy.ts'

/** A primary that answers the COMMIT, and then nothing: how far the write is, nobody knows for a while. */
let servers: TestCluster
let proxy: FaultProxy
const opened: Cluster[] = []
const TOKEN_KEYS = [{ id: 'k1', secret: 'a secret of the tests' }]

beforeAll(async () => {
  servers = await startCluster({ replicas: 2 })
  proxy = await openFaultProxy(servers.config.master)
  await open().writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
})
afterAll(async () => {
  await Promise.all(opened.map((cluster) => cluster.close({ timeoutMs: 1_000 })))
  await proxy?.close()
  await servers?.close()
})
beforeEach(async () => {
  await proxy.set('pass')
  for (const name of ['replica1', 'replica2']) await servers.resumeReplay(name)
  const cluster = open()
  await cluster.writer.query('TRUNCATE posts')
  await expect.poll(() => ids(cluster)).toEqual([])
  for (const name of ['replica1', 'replica2']) await servers.pauseReplay(name)
})

const open = (): Cluster => {
  const master = { ...servers.config.master, port: proxy.port }
  const cluster = connect({
    tokenKeys: TOKEN_KEYS,
    config: { ...servers.config, master, settings: { waitTimeoutMs: 50 } } as never,
  })
  opened.push(cluster)
  return cluster
}
const ids = async (cluster: Cluster): Promise<number[]> =>
  (await cluster.reader.query('SELECT id FROM posts ORDER BY id')).rows.map(({ id }) => id)
/** A write whose position is asked for after its COMMIT was answered: that question gets no answer. */
const writeIntoSilence = async (cluster: Cluster, id: number): Promise<void> => {
  await cluster.transaction(() => cluster.writer.query('INSERT INTO posts VALUES ($1)', [id]))
  await proxy.set('mute')
}

test('a token of a session whose position the primary does not tell shows its writes all the same', async () => {
  const [one, two] = [open(), open()]
  await one.writer.query('INSERT INTO posts VALUES (1)')
  const token = await one.session(async (session) => {
    await writeIntoSilence(one, 2)
    const moved = await session.movedToken()
    await proxy.set('pass')
    return moved
  })
  expect(token).toMatch(/^[\x21-\x7e]{1,128}$/)
  const next = await two.session(
    async (session) => {
      expect(await ids(two)).toEqual([1, 2])
      return session.movedToken()
    },
    { token: token! },
  )
  // Known by now, so that replicas can serve whoever carries it.
  for (const name of ['replica1', 'replica2']) await servers.resumeReplay(name)
  await two.session(
    () => expect.poll(async () => (await two.reader.query('SELECT')).routing.role).toBe('replica'),
    { token: next! },
  )
})

test('a token of what was read on a primary that fell silent shows no less', async () => {
  const [one, two] = [open(), open()]
  await two.writer.query('INSERT INTO posts VALUES (1)')
  const token = await one.session(
    async (session) => {
      expect(await ids(one)).toEqual([1])
      await proxy.set('mute')
      const moved = await session.movedToken()
      await proxy.set('pass')
      return moved
    },
    { consistency: 'strong' },
  )
  const late = open()
  expect(await late.session(() => ids(late), { token: token! })).toEqual([1])
})

test('without a primary the process reads from replicas that have only just come back', async () => {
  const cluster = open()
  await expect.poll(() => ids(cluster)).toEqual([])
  await writeIntoSilence(cluster, 1)
  for (const name of ['replica1', 'replica2']) await servers.kill(name)
  const left = () =>
    cluster.status().nodes.filter(({ node, state }) => node !== 'master' && state === 'quarantined')
      .length
  await expect.poll(left).toBe(2)
  for (const name of ['replica1', 'replica2']) await servers.start(name)
  // Each is left alone until it has answered twice.
  const { routing } = await cluster.reader.query('SELECT id FROM posts')
  expect(routing).toMatchObject({ role: 'replica', reason: 'stale' })
})

test('the same process: the primary serves until it tells the position, then replicas do again', async () => {
  const cluster = open()
  await cluster.session(async (session) => {
    await writeIntoSilence(cluster, 1)
    await session.movedToken()
    await proxy.set('pass')
    expect(await ids(cluster)).toEqual([1])
    for (const name of ['replica1', 'replica2']) await servers.resumeReplay(name)
    await expect
      .poll(async () => (await cluster.reader.query('SELECT')).routing.role)
      .toBe('replica')
    expect(await ids(cluster)).toEqual([1])
  })
})
