import { expect, test } from 'vitest'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { EXECUTE } from '../../src/cluster/statement.ts'
import {
  ConfigError,
  NoPrimaryError,
  NoReplicaAvailableError,
  PoolExhaustedError,
} from '../../src/errors.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import { closedPorts, WHO } from '../support/cluster.ts'
import { announced, failureOf, mark, row, useFaults } from '../support/faults.ts'

/** Nothing of the statement has been sent: reads go elsewhere, a write has certainly failed. */
const bed = useFaults()

const answered = async (cluster: Cluster): Promise<string | undefined> =>
  bed.nameOf((await cluster.reader.query(WHO)).rows[0])

/** Reads until the node that is broken must have had its turn. */
const bothTurns = async (cluster: Cluster): Promise<Set<string | undefined>> =>
  new Set([await answered(cluster), await answered(cluster)])

/** A write that must fail before any server has seen it. */
const failedWrite = async (cluster: Cluster): Promise<unknown> => {
  const marked = mark()
  const error = await failureOf(
    cluster.writer[EXECUTE](
      { text: `INSERT INTO posts VALUES (1) ${marked}` },
      { timeoutMs: 2_000 },
    ),
  )
  expect(bed.runs(marked)).toEqual({ master: 0, replica1: 0, replica2: 0 })
  return error
}

row('connection refused', 'the node is left alone', async () => {
  const [dead, gone] = await closedPorts(2)
  const cluster = bed.open({ replica1: { port: dead }, master: { port: gone } })
  const seen = announced(cluster, 'replica1')
  expect(await bothTurns(cluster)).toEqual(new Set(['replica2']))
  expect(seen).toEqual(['replica1 quarantined ECONNREFUSED'])
  expect(await failedWrite(cluster)).toBeInstanceOf(NoPrimaryError)
})

row('connecting timed out', 'the node is asked before it is left alone', async () => {
  bed.proxies.replica1.blackHole()
  bed.proxies.master.blackHole()
  const late = { connectTimeoutMs: 100 }
  const cluster = bed.open({ replica1: late, master: late }, {}, ['replica1', 'master'])
  const seen = announced(cluster, 'replica1')
  expect(await bothTurns(cluster)).toEqual(new Set(['replica2']))
  await expect.poll(() => seen).toEqual([expect.stringMatching(/^replica1 quarantined/)])
  expect(await failedWrite(cluster)).toBeInstanceOf(NoPrimaryError)
})

row('TLS mismatch', 'the node is announced as configured wrongly', async () => {
  const cluster = bed.open({ replica1: { ssl: 'require' }, master: { ssl: 'require' } })
  const seen = announced(cluster, 'replica1')
  expect(await bothTurns(cluster)).toEqual(new Set(['replica2']))
  expect(seen).toEqual([expect.stringMatching(/^replica1 misconfigured/)])
  expect(String(await failedWrite(cluster))).toMatch(/does not support SSL/)
})

row('password unavailable', 'the node is announced as configured wrongly', async () => {
  const sealed = { password: () => Promise.reject(new Error('the vault is sealed')) }
  const cluster = bed.open({ replica1: sealed, master: sealed })
  const seen = announced(cluster, 'replica1')
  expect(await bothTurns(cluster)).toEqual(new Set(['replica2']))
  expect(seen).toEqual([expect.stringMatching(/^replica1 misconfigured/)])
  expect(await failedWrite(cluster)).toMatchObject({ message: 'the vault is sealed' })
})

for (const [what, change, code] of [
  ['a wrong password', { password: 'wrong' }, '28P01'],
  ['a database that is not there', { database: 'nowhere' }, '3D000'],
  ['a run-time parameter that is not there', { variables: { nosuch: '1' } }, '42704'],
] as const) {
  row('refused for good', what, async () => {
    const cluster = bed.open({ replica1: change, replica2: change, master: change })
    const seen = announced(cluster)
    const error = await failureOf(cluster.reader.query('SELECT 1'))
    expect(error).toBeInstanceOf(ConfigError)
    for (const name of ['replica1', 'replica2'])
      expect(seen).toContain(`${name} misconfigured ${code}`)
    expect(await failedWrite(cluster)).toMatchObject({ code })
  })
}

row('too many connections', 'reads go elsewhere, a write waits for room', async () => {
  await bed.on('master', "CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 2")
  await bed.on('master', 'GRANT ALL ON posts TO few')
  await bed.replicated()
  const few = { username: 'few', password: 'few' }
  const held = await Promise.all(
    (['master', 'master', 'replica1', 'replica1'] as const).map((server) =>
      bed.client(server, few),
    ),
  )
  const cluster = bed.open({ master: few, replica1: few })
  const seen = announced(cluster, 'replica1')
  expect(await bothTurns(cluster)).toEqual(new Set(['replica2']))
  // There is no connection at all to go on with: it is left alone, and not for being down.
  expect(seen).toEqual(['replica1 quarantined 53300'])
  const write = cluster.writer.query('SELECT 1 AS one')
  await expect.poll(() => cluster.writer.totalCount).toBe(0)
  for (const client of held) await client.end()
  expect((await write).rows).toEqual([{ one: 1 }])
  expect(cluster.status().nodes.find(({ node }) => node === 'master')?.state).toBe('healthy')
})

test('a server with no room gets no more connections than it has given: the rest waits', async () => {
  await bed.on('master', "CREATE ROLE two LOGIN PASSWORD 'two' CONNECTION LIMIT 3")
  await bed.replicated()
  const cluster = bed.open({ replica1: { username: 'two', password: 'two' } })
  const seen = announced(cluster)
  const lent = await cluster.using('replica1', () =>
    Promise.all([cluster.reader.connect(), cluster.reader.connect()]),
  )
  // The connection for questions is the third one.
  const all = "SELECT FROM pg_stat_activity WHERE usename = 'two'"
  await expect.poll(async () => (await bed.on('replica1', all)).length).toBe(3)
  // The next is turned away; from then on calls wait for one of the two.
  await expect(cluster.using('replica1', () => cluster.reader.query('SELECT 1'))).rejects.toThrow(
    NoReplicaAvailableError,
  )
  const waiting = cluster.using('replica1', () => cluster.reader.query('SELECT 1 AS one'))
  await expect.poll(() => cluster.reader.waitingCount).toBe(1)
  for (const client of lent) client.release()
  expect((await waiting).rows).toEqual([{ one: 1 }])
  expect(seen).toEqual([])
})

row('not accepting connections', 'while a server shuts down', async () => {
  const cluster = bed.open()
  const seen = announced(cluster, 'replica1')
  const clients = [await bed.client('replica1'), await bed.client('master')]
  // A smart shutdown waits for the sessions that there are, and lets nobody in.
  for (const server of ['replica1', 'master'] as const)
    process.kill(bed.postmaster(server), 'SIGTERM')
  await expect
    .poll(() =>
      bed.client('replica1').then(
        () => 'in',
        ({ code }) => code as string,
      ),
    )
    .toBe('57P03')
  expect(await bothTurns(cluster)).toEqual(new Set(['replica2']))
  expect(seen).toEqual(['replica1 quarantined 57P03'])
  await expect
    .poll(() =>
      bed.client('master').then(
        () => 'in',
        ({ code }) => code as string,
      ),
    )
    .toBe('57P03')
  expect(await failedWrite(cluster)).toBeInstanceOf(NoPrimaryError)
  for (const client of clients) await client.end()
  for (const server of ['master', 'replica1']) {
    await bed.servers.stop(server)
    await bed.servers.start(server)
  }
})

row('no free connection in time', 'the caller waits no longer, and the node is well', async () => {
  const one = { pool: 1, connectTimeoutMs: 300 }
  const cluster = bed.open({ replica1: one, replica2: one, master: one })
  const seen = announced(cluster)
  const lent = [
    await cluster.reader.connect(),
    await cluster.reader.connect(),
    await cluster.writer.connect(),
  ]
  const message = 'timeout exceeded when trying to connect'
  await expect(cluster.reader.query('SELECT 1')).rejects.toThrow(message)
  expect(await failedWrite(cluster)).toMatchObject({ message })
  for (const client of lent) client.release()
  expect(seen).toEqual([])
})

row('queue full', 'another replica is asked, never the primary', async () => {
  const full = { pool: 1, queue: 0 }
  const cluster = bed.open({ replica1: full, replica2: full, master: full })
  const seen = announced(cluster)
  const first = await cluster.using('replica1', () => cluster.reader.connect())
  expect(await bothTurns(cluster)).toEqual(new Set(['replica2']))
  const second = await cluster.using('replica2', () => cluster.reader.connect())
  const error = await failureOf(cluster.reader.query('SELECT 1'))
  expect(error).toBeInstanceOf(PoolExhaustedError)
  expect(error).toMatchObject({ connections: 1, waiting: 0, code: 'SEGREGATO_POOL_EXHAUSTED' })
  const third = await cluster.writer.connect()
  expect(await failedWrite(cluster)).toBeInstanceOf(PoolExhaustedError)
  for (const client of [first, second, third]) client.release()
  expect(seen).toEqual([])
})

row('connecting cut', 'the node is left alone', async () => {
  bed.proxies.replica1.refuseWithReset()
  bed.proxies.master.refuseWithReset()
  const cluster = bed.open({}, {}, ['replica1', 'master'])
  const seen = announced(cluster, 'replica1')
  expect(await bothTurns(cluster)).toEqual(new Set(['replica2']))
  expect(seen).toEqual([expect.stringMatching(/^replica1 quarantined/)])
  expect(await failedWrite(cluster)).toBeInstanceOf(NoPrimaryError)
})

row(
  'node unresponsive while connecting',
  'it costs an attempt, not the time for connecting',
  async () => {
    bed.proxies.replica1.blackHole()
    bed.proxies.master.blackHole()
    const patient = { connectTimeoutMs: 1_000_000 }
    const cluster = bed.open({ replica1: patient, master: patient }, {}, ['replica1', 'master'])
    const seen = announced(cluster, 'replica1')
    expect(await bothTurns(cluster)).toEqual(new Set(['replica2']))
    expect(seen).toEqual(['replica1 quarantined SEGREGATO_NODE_UNRESPONSIVE', ...seen.slice(1)])
    expect(await failedWrite(cluster)).toMatchObject({
      code: expect.stringMatching(/DEADLINE_EXCEEDED|NO_PRIMARY|NODE_UNRESPONSIVE/),
    })
  },
)

row('another server', 'what answers at an address is not the one that is looked for', async () => {
  const { master, replica1 } = bed.servers.config
  // The primary's address and a replica's have been exchanged.
  const cluster = bed.open({ master: { port: replica1!.port }, replica1: { port: master.port } })
  const written = await cluster.writer.query(WHO)
  expect(bed.nameOf(written.rows[0])).toBe('master')
  expect(written.routing.node).toBe('replica1')
  const foreign = await startCluster({ replicas: 0 })
  const { port, password, database } = foreign.config.master
  const mixed = bed.open({ replica1: { port, password, database } })
  const seen = announced(mixed)
  await mixed.writer.query('SELECT 1')
  expect(await bothTurns(mixed)).toEqual(new Set(['replica2']))
  expect(seen).toContain('replica1 wrong-server other-system')
  await foreign.close()
})
