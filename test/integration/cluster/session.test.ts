import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Cluster, ConnectOptions } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import { EXECUTE } from '../../../src/cluster/statement.ts'
import { InvalidArgumentError, StaleReplicasError } from '../../../src/errors.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import { WHO } from '../../support/cluster.ts'
import { openFaultProxy } from '../../support/fault-proxy.ts'

/** Servers of its own, since their replay is paused. */
let servers: TestCluster
const opened: Cluster[] = []
const TOKEN_KEYS = [{ id: 'k1', secret: 'a secret of the tests' }]

beforeAll(async () => {
  servers = await startCluster({ replicas: 2 })
  await open().writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
})
afterAll(async () => {
  await Promise.all(opened.map((cluster) => cluster.close({ timeoutMs: 1_000 })))
  await servers?.close()
})
beforeEach(async () => {
  for (const name of ['replica1', 'replica2']) {
    await servers.resumeReplay(name)
    await servers.setApplyDelay(name, 0)
  }
  const cluster = open({ consistency: 'eventual' })
  await cluster.writer.query('TRUNCATE posts')
  // What is paused from now on shows this, and nothing older.
  for (const name of ['replica1', 'replica2'])
    await expect.poll(() => cluster.using(name, () => ids(cluster))).toEqual([])
})

const open = (settings: object = {}, options: Omit<ConnectOptions, 'config'> = {}): Cluster => {
  const cluster = connect({
    tokenKeys: TOKEN_KEYS,
    ...options,
    config: { ...servers.config, settings } as never,
  })
  opened.push(cluster)
  return cluster
}
const nameOf = (port: number): string | undefined =>
  Object.entries(servers.config).find(([, node]) => node.port === port)?.[0]
const answered = async (cluster: Cluster): Promise<string | undefined> =>
  nameOf((await cluster.reader.query(WHO)).rows[0].port)
const insert = (cluster: Cluster, id: number) =>
  cluster.writer.query('INSERT INTO posts VALUES ($1)', [id])
const ids = async (cluster: Cluster): Promise<number[]> =>
  (await cluster.reader.query('SELECT id FROM posts ORDER BY id')).rows.map(({ id }) => id)

test('an insert read back at once is there, from a replica, however it was written', async () => {
  const cluster = open()
  await servers.setApplyDelay('replica1', 30)
  const writes: ((id: number) => Promise<unknown>)[] = [
    (id) => insert(cluster, id),
    (id) => cluster.writer[EXECUTE]({ text: 'INSERT INTO posts VALUES ($1)', values: [id] }),
    (id) => cluster.transaction(() => insert(cluster, id)),
    (id) =>
      new Promise((resolve, reject) =>
        cluster.writer.query(`INSERT INTO posts VALUES (${id})`, (error, result) =>
          error ? reject(error) : resolve(result),
        ),
      ),
    async (id) => {
      const client = await cluster.writer.connect()
      await client.query('BEGIN')
      await client.query('SET LOCAL synchronous_commit = off')
      await client.query('INSERT INTO posts VALUES ($1)', [id])
      await client.query('COMMIT')
      client.release()
    },
  ]
  const roles = new Set<string>()
  for (let id = 0; id < 200; id++) {
    await writes[id % writes.length]!(id)
    const { rows } = await cluster.reader.query(
      `SELECT pg_is_in_recovery() AS replica, EXISTS (SELECT FROM posts WHERE id = ${id}) AS there`,
    )
    expect(rows[0].there, `row ${id}`).toBe(true)
    roles.add(rows[0].replica ? 'replica' : 'primary')
  }
  expect(roles).toContain('replica')
})

test('without it the same reads miss: the lag is real', async () => {
  const cluster = open({ consistency: 'eventual' })
  await servers.pauseReplay('replica1')
  await servers.pauseReplay('replica2')
  await insert(cluster, 1)
  expect(await ids(cluster)).toEqual([])
})

test('with one replica paused the other serves; with both, the primary within its budget', async () => {
  const cluster = open({ waitTimeoutMs: 50 })
  await servers.pauseReplay('replica1')
  await insert(cluster, 1)
  for (let turn = 0; turn < 4; turn++) {
    expect(await ids(cluster)).toEqual([1])
    expect(await answered(cluster)).toBe('replica2')
  }
  await servers.pauseReplay('replica2')
  await insert(cluster, 2)
  const result = await cluster.reader.query('SELECT id FROM posts ORDER BY id')
  expect(result.rows).toEqual([{ id: 1 }, { id: 2 }])
  expect(result).toMatchObject({ routing: { role: 'primary', reason: 'not-caught-up' } })
})

test('beyond the budget the process degrades and says so, an explicit session fails', async () => {
  const cluster = open({ waitTimeoutMs: 30 })
  const stale: string[] = []
  cluster.events.on('stale', ({ node }) => stale.push(node))
  for (const name of ['replica1', 'replica2']) await servers.pauseReplay(name)
  await insert(cluster, 1)
  const held = cluster.reader.query('SELECT pg_sleep(0.6)')
  await sleep(100)
  const read = await cluster.reader.query('SELECT id FROM posts')
  expect(read.rows).toEqual([])
  expect(read).toMatchObject({ routing: { role: 'replica', reason: 'stale' } })
  expect(stale).toHaveLength(1)
  await cluster.session(async () => {
    await insert(cluster, 2)
    const error: unknown = await ids(cluster).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(StaleReplicasError)
    expect(error).toMatchObject({ replicas: ['replica1', 'replica2'] })
  })
  await held
})

test('after a write all replicas serve again, also one that was late', async () => {
  const cluster = open({ waitTimeoutMs: 60_000 })
  await servers.pauseReplay('replica1')
  await insert(cluster, 1)
  expect(await answered(cluster)).toBe('replica2')
  await servers.resumeReplay('replica1')
  await expect
    .poll(async () => new Set([await answered(cluster), await answered(cluster)]))
    .toEqual(new Set(['replica1', 'replica2']))
})

test('an explicit session reads its writes and stays on its replica', async () => {
  const cluster = open()
  await cluster.session(async () => {
    const names = new Set<string | undefined>()
    for (let turn = 0; turn < 5; turn++) names.add(await answered(cluster))
    expect(names.size).toBe(1)
    await insert(cluster, 1)
    expect(await ids(cluster)).toEqual([1])
  })
})

test('a session that must leave its replica sees no less on the next one', async () => {
  const cluster = open({ waitTimeoutMs: 50 })
  const writer = open()
  await cluster.session(async () => {
    const first = (await answered(cluster))!
    const other = first === 'replica1' ? 'replica2' : 'replica1'
    await servers.pauseReplay(other)
    await insert(writer, 7)
    await expect.poll(() => ids(cluster)).toEqual([7])
    await servers.stop(first)
    expect(await ids(cluster)).toEqual([7])
    await servers.start(first)
  })
})

test('what a session has seen on the primary it still sees on a replica afterwards', async () => {
  const cluster = open({ waitTimeoutMs: 50 })
  const writer = open()
  const count = { text: 'SELECT count(*)::int AS posts FROM posts' }
  const seeing: (() => Promise<{ rows: unknown[] }>)[] = [
    () => cluster.reader[EXECUTE](count, { consistency: 'strong' }),
    () => cluster.using('primary', () => cluster.reader.query(count)),
    () => cluster.transaction(() => cluster.reader.query(count)),
    () => cluster.transaction(() => cluster.writer.query(count), { readOnly: true }),
    async () => {
      let seen: { rows: unknown[] } = { rows: [] }
      const failing = cluster.transaction(async () => {
        seen = await cluster.reader.query(count)
        throw new Error('rolled back')
      })
      await expect(failing).rejects.toThrow('rolled back')
      return seen
    },
  ]
  for (const name of ['replica1', 'replica2']) await servers.pauseReplay(name)
  for (const [index, see] of seeing.entries()) {
    await insert(writer, index)
    await cluster.session(async () => {
      const { rows } = await see()
      expect(rows).toEqual([{ posts: index + 1 }])
      expect((await cluster.reader.query(count)).rows, `way ${index}`).toEqual(rows)
    })
  }
})

test('a replica in quarantine that has caught up does not end the wait for the others', async () => {
  const { host, port } = servers.config['replica2']!
  const way = await openFaultProxy({ host, port })
  const cluster = connect({
    config: {
      ...servers.config,
      replica2: { ...servers.config['replica2']!, port: way.port },
      // The monitor would end the quarantine, and its first probes come too late to matter here.
      settings: { waitTimeoutMs: 20_000, probe: 'on_use' },
    },
  })
  opened.push(cluster)
  const quarantine = (): number =>
    cluster.status().nodes.find(({ node }) => node === 'replica2')!.quarantineMs
  await way.set('refuse')
  // Longer each time; in the end long enough for all that follows.
  while (quarantine() < 5_000) await cluster.reader.query('SELECT 1')
  await way.set('pass')
  await servers.setApplyDelay('replica1', 100)
  const { routing } = await cluster.session(async () => {
    await insert(cluster, 1)
    return cluster.reader.query('SELECT id FROM posts')
  })
  expect(routing).toMatchObject({ node: 'replica1' })
  expect(quarantine()).toBeGreaterThan(0)
  await way.close()
})

test('a token carries the session to another process', async () => {
  const [one, two] = [open(), open()]
  const token = await one.session(async () => {
    await insert(one, 1)
    return one.token()
  })
  expect(token).toMatch(/^[\x21-\x7e]{1,128}$/)
  await servers.pauseReplay('replica1')
  await servers.pauseReplay('replica2')
  const later = await one.session(async () => {
    await insert(one, 2)
    return one.token()
  })
  await two.session(
    async () => {
      const result = await two.reader.query('SELECT id FROM posts ORDER BY id')
      expect(result.rows).toEqual([{ id: 1 }, { id: 2 }])
      expect(result).toMatchObject({ routing: { role: 'primary' } })
    },
    { token: later! },
  )
})

test('what a session has only read is in its token too', async () => {
  const [one, two] = [open(), open({ waitTimeoutMs: 50 })]
  await insert(two, 1)
  const token = await one.session(async () => {
    await expect.poll(() => ids(one)).toEqual([1])
    return one.token()
  })
  expect(await two.session(() => ids(two), { token: token! })).toEqual([1])
})

test('tokens that are not ours, or claim what never was, neither wait nor throw', async () => {
  const cluster = open({ waitTimeoutMs: 60_000 })
  const forger = open({}, { tokenKeys: [{ id: 'k1', secret: 'another secret, of a forger' }] })
  await insert(forger, 1)
  const forged = await forger.token()
  const real = await cluster.session(async () => {
    await insert(cluster, 2)
    return cluster.token()
  })
  for (const token of [
    forged!,
    '',
    'x'.repeat(10_000_000),
    real!.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
    'a\r\nb',
  ]) {
    expect(
      (await cluster.session(() => cluster.reader.query('SELECT 1 AS one'), { token })).rows,
    ).toEqual([{ one: 1 }])
  }
  const { signToken } = await import('../../../src/routing/token.ts')
  const future = signToken(
    { position: { systemIdentifier: '1', timeline: 1, lsn: 0xffff_ffff_ffff_ffffn }, issuedAt: 1 },
    TOKEN_KEYS[0]!,
  )
  const result = await cluster.session(() => cluster.reader.query('SELECT 1 AS one'), {
    token: future,
  })
  expect(result).toMatchObject({ routing: { role: 'primary' } })
})

test('levels: strong is the primary, eventual asks nothing', async () => {
  const cluster = open()
  await insert(cluster, 1)
  const strong = await cluster.reader[EXECUTE]({ text: WHO }, { consistency: 'strong' })
  expect(strong.routing).toMatchObject({ role: 'primary', reason: 'strong' })
  for (const name of ['replica1', 'replica2']) {
    await expect.poll(() => cluster.using(name, () => ids(cluster))).toEqual([1])
    await servers.pauseReplay(name)
  }
  await insert(cluster, 2)
  const eventual = await cluster.reader[EXECUTE](
    { text: 'SELECT count(*)::int AS posts FROM posts' },
    { consistency: 'eventual' },
  )
  expect(eventual.rows).toEqual([{ posts: 1 }])
  await expect(
    cluster.reader[EXECUTE]({ text: 'SELECT 1' }, { consistency: 'sure' as never }),
  ).rejects.toThrow(InvalidArgumentError)
  const primary = open({ outsideSession: 'primary' })
  expect(await answered(primary)).toBe('master')
})

test('a call that asks for its own writes where the cluster does not follow them gets the primary', async () => {
  const cluster = open({ consistency: 'eventual' })
  for (const name of ['replica1', 'replica2']) await servers.pauseReplay(name)
  await insert(cluster, 1)
  const text = 'SELECT count(*)::int AS posts FROM posts'
  const read = await cluster.reader[EXECUTE]({ text }, { consistency: 'session' })
  expect(read.rows).toEqual([{ posts: 1 }])
  await cluster.session(async () => {
    await insert(cluster, 2)
    const own = await cluster.reader[EXECUTE]({ text }, { consistency: 'session' })
    expect(own.rows).toEqual([{ posts: 2 }])
  })
})

test('thousands of waiting reads cost one poll per replica', async () => {
  const cluster = open({ waitTimeoutMs: 5_000 })
  for (const name of ['replica1', 'replica2']) await servers.setApplyDelay(name, 400)
  await insert(cluster, 1)
  const reads = Array.from({ length: 2_000 }, () => ids(cluster))
  await sleep(200)
  expect(cluster.status().nodes.map(({ read }) => read.totalCount)).toEqual([0, 0, 0])
  expect(new Set((await Promise.all(reads)).map(String))).toEqual(new Set(['1']))
})
