import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import type { NodeEvent } from '../../../src/cluster/events.ts'
import { EXECUTE } from '../../../src/cluster/statement.ts'
import {
  ConfigError,
  DeadlineExceededError,
  InvalidArgumentError,
  NoReplicaAvailableError,
  SegregatoError,
  WriteOutcomeUnknownError,
} from '../../../src/errors.ts'
import { closedPorts, useCluster, WHO, withDeadReplicas } from '../../support/cluster.ts'
import { openFaultProxy } from '../../support/fault-proxy.ts'
import { openCuttingProxy } from '../../support/cutting-proxy.ts'
import type { CuttingProxy } from '../../support/cutting-proxy.ts'
import { giveUpWhenSent, openLateProxy } from '../../support/late-proxy.ts'
import { watchStatements } from '../../support/servers.ts'

const fixture = useCluster('CREATE TABLE posts (id int PRIMARY KEY)')
let dead: number[]
let proxies: Record<'master' | 'replica1', CuttingProxy>

beforeAll(async () => {
  dead = await closedPorts(2)
  const { master, replica1 } = fixture.db.config
  proxies = { master: await openCuttingProxy(master), replica1: await openCuttingProxy(replica1!) }
})
afterAll(() => Promise.all(Object.values(proxies).map((proxy) => proxy.close())))
beforeEach(() => fixture.db.admin.query('TRUNCATE posts'))

const answered = async (cluster: Cluster): Promise<string> =>
  fixture.nameOf((await cluster.reader.query(WHO)).rows[0])

const through = (name: 'master' | 'replica1'): Cluster =>
  fixture.open({}, (config) => ({
    ...config,
    [name]: { ...config[name], port: proxies[name].port },
  }))

const stored = async (): Promise<number> =>
  (await fixture.db.admin.query('SELECT FROM posts')).rowCount ?? -1

test('a replica that refuses connections is quarantined once, the others serve', async () => {
  const cluster = fixture.open({}, (config) => ({
    ...config,
    replica1: { ...config.replica1, port: dead[0] },
  }))
  const events: NodeEvent[] = []
  const states: unknown[] = []
  cluster.events.on('node', (event) => {
    events.push(event)
    states.push(cluster.status().nodes.find(({ node }) => node === 'replica1'))
  })
  const names = await Promise.all(Array.from({ length: 20 }, () => answered(cluster)))
  expect(new Set(names)).toEqual(new Set(['replica2']))
  expect(events).toMatchObject([{ node: 'replica1', state: 'quarantined', error: 'ECONNREFUSED' }])
  expect(events[0]!.quarantineMs).toBeGreaterThan(0)
  expect(states).toMatchObject([{ state: 'quarantined', failures: 1 }])
})

test('with no replica left the primary serves, in name and in fact', async () => {
  const cluster = fixture.open({}, (config) => withDeadReplicas(config, dead))
  const result = await cluster.reader.query(WHO)
  expect(fixture.nameOf(result.rows[0])).toBe('master')
  expect(result).toMatchObject({ routing: { node: 'master', reason: 'no-replica' } })
  await expect(cluster.using('replica', () => cluster.reader.query(WHO))).rejects.toThrow(
    NoReplicaAvailableError,
  )
  await expect(cluster.using('replica1', () => cluster.reader.query(WHO))).rejects.toThrow(
    /replica1 \(ECONNREFUSED\)/,
  )
})

test('a read whose connection is cut is repeated on another replica', async () => {
  const cluster = through('replica1')
  proxies.replica1.cutAt('SELECT 42', 'after')
  const answers = await Promise.all([
    cluster.reader.query('SELECT 42 AS x'),
    cluster.reader.query('SELECT 42 AS x'),
  ])
  expect(answers.map(({ rows }) => rows[0].x)).toEqual([42, 42])
  expect(
    answers.map((answer) => (answer as unknown as { routing: { reason: string } }).routing.reason),
  ).toContain('retry')
})

test('a write whose connection is cut after it was sent is unknown and never repeated', async () => {
  const cluster = through('master')
  const log = await watchStatements(fixture.db.name)
  proxies.master.cutAt('INSERT INTO posts', 'after')
  const error: unknown = await cluster.writer
    .query('INSERT INTO posts VALUES (1)')
    .catch((e: unknown) => e)
  expect(error).toBeInstanceOf(WriteOutcomeUnknownError)
  expect(error).toMatchObject({
    node: 'master',
    cause: { message: expect.stringMatching(/terminated|ECONNRESET/) },
  })
  expect(await stored()).toBe(1)
  expect((await log.texts('master')).filter((text) => text.startsWith('INSERT'))).toHaveLength(1)
})

test('a model write is unknown as well when the server closes the connection with a message', async () => {
  const cluster = fixture.open()
  const write = cluster.writer[EXECUTE]({
    text: 'INSERT INTO posts SELECT 1 FROM pg_sleep(60)',
  }).catch((e: unknown) => e)
  // Waits for its end: a backend that is about to end would be counted twice.
  const running =
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO posts SELECT%' AND state = 'active' AND datname = current_database()"
  await expect.poll(async () => (await fixture.db.admin.query(running)).rowCount).toBe(1)
  expect(await write).toBeInstanceOf(WriteOutcomeUnknownError)
  const pooled = cluster.writer
    .query('INSERT INTO posts SELECT 1 FROM pg_sleep(60)')
    .catch((e: unknown) => e)
  await expect.poll(async () => (await fixture.db.admin.query(running)).rowCount).toBe(1)
  // A pool passes what PostgreSQL says.
  expect(await pooled).toMatchObject({ code: '57P01' })
})

test('a transaction cut at COMMIT is unknown; cut before, it certainly did nothing', async () => {
  const cluster = through('master')
  const insert = () =>
    cluster.transaction(() => cluster.writer.query('INSERT INTO posts VALUES (1)'))
  proxies.master.cutAt('COMMIT', 'after')
  await expect(insert()).rejects.toThrow(WriteOutcomeUnknownError)
  expect(await stored()).toBe(1)
  await fixture.db.admin.query('TRUNCATE posts')
  proxies.master.cutAt('INSERT', 'after')
  const error: unknown = await insert().catch((e: unknown) => e)
  expect(error).not.toBeInstanceOf(WriteOutcomeUnknownError)
  expect(error).toBeInstanceOf(Error)
  expect(await stored()).toBe(0)
})

test('connections that the server ends, idle or lent, never end the process', async () => {
  const cluster = fixture.open({}, (config) => ({
    ...config,
    master: { ...config.master, applicationName: 'doomed' },
    replica1: { ...config.replica1, applicationName: 'doomed' },
  }))
  const lent = [await cluster.writer.connect(), await cluster.reader.connect()]
  await cluster.writer.query('SELECT 1')
  await cluster.reader.query('SELECT 1')
  for (const server of ['master', 'replica1']) {
    await fixture.db
      .on(server)
      .query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed'",
      )
  }
  await expect(lent[0]!.query('SELECT 1')).rejects.toThrow()
  for (const client of lent) client.release()
  // Whatever is left of the old connections is found out by the next statements and not by their callers.
  for (let turn = 0; turn < 6; turn++) await expect(answered(cluster)).resolves.toMatch(/^replica/)
  expect((await cluster.writer.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
})

test('all connections are cut and the way is slow: a write waits for the answers, it does not fail with the cut', async () => {
  const names = Object.keys(fixture.db.config)
  const ways = await Promise.all(
    Object.values(fixture.db.config).map((node) => openFaultProxy(node)),
  )
  onTestFinished(async () => {
    await Promise.all(ways.map((way) => way.close()))
  })
  const cluster = fixture.open({}, (config) =>
    Object.fromEntries(
      names.map((name, index) => [
        name,
        { ...config[name], port: ways[index]!.port, connectTimeoutMs: 20_000 },
      ]),
    ),
  )
  await cluster.writer.query('SELECT 1')
  // Logging in takes longer than one round of the search for the primary waits, and no question does.
  await Promise.all(ways.map((way) => way.set('delay', { delayMs: 60 })))
  const cut = new Promise((resolve) => cluster.writer.once('error', resolve))
  for (const way of ways) way.reset()
  await cut
  expect((await cluster.writer.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
})

test('wrong passwords on all replicas are a mistake, not a reason to read from the primary', async () => {
  const cluster = fixture.open({}, (config) => ({
    ...config,
    replica1: { ...config.replica1, password: 'wrong' },
    replica2: { ...config.replica2, password: 'wrong' },
  }))
  const log = await watchStatements(fixture.db.name)
  for (let turn = 0; turn < 2; turn++) {
    const error: unknown = await cluster.reader.query('SELECT 1').catch((e: unknown) => e)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ issues: [{ path: 'replica1' }, { path: 'replica2' }] })
    expect(String(error)).toContain('28P01')
  }
  expect(await log.texts('master')).toEqual([])
})

test('a wrong password on one replica is announced and the other serves', async () => {
  const cluster = fixture.open({}, (config) => ({
    ...config,
    replica1: { ...config.replica1, password: 'wrong' },
  }))
  const events: NodeEvent[] = []
  cluster.events.on('node', (event) => events.push(event))
  expect([await answered(cluster), await answered(cluster)]).toEqual(['replica2', 'replica2'])
  expect(events).toMatchObject([{ node: 'replica1', state: 'misconfigured', error: '28P01' }])
})

test('a full pool is no fault of the node', async () => {
  const cluster = fixture.open({}, (config) => ({
    ...config,
    replica1: { ...config.replica1, pool: 1, connectTimeoutMs: 1_500 },
    replica2: { ...config.replica2, pool: 1, connectTimeoutMs: 1_500 },
  }))
  const lent = [await cluster.reader.connect(), await cluster.reader.connect()]
  await expect(cluster.reader.query('SELECT 1')).rejects.toThrow(
    'timeout exceeded when trying to connect',
  )
  expect(cluster.status().nodes.every(({ state }) => state === 'healthy')).toBe(true)
  for (const client of lent) client.release()
})

test('a call ends at its deadline or by its signal, and the statement is cancelled on the server', async () => {
  const cluster = fixture.open()
  const running = async (): Promise<number> => {
    const counts = await Promise.all(
      ['master', 'replica1', 'replica2'].map((server) =>
        fixture.db
          .on(server)
          .query(
            "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(61)' AND state = 'active'",
          ),
      ),
    )
    return counts.reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0)
  }
  const sleep = { text: 'SELECT pg_sleep(61)' }
  await expect(cluster.reader[EXECUTE](sleep, { timeoutMs: 100 })).rejects.toThrow(
    DeadlineExceededError,
  )
  await expect(cluster.writer[EXECUTE](sleep, { timeoutMs: 100 })).rejects.toThrow(
    DeadlineExceededError,
  )
  const controller = new AbortController()
  const aborted = cluster.reader[EXECUTE](sleep, { signal: controller.signal })
  await expect.poll(running).toBe(1)
  controller.abort(new Error('enough'))
  await expect(aborted).rejects.toThrow('enough')
  await expect.poll(running).toBe(0)
  await expect(cluster.reader[EXECUTE](sleep, { signal: controller.signal })).rejects.toThrow(
    'enough',
  )
  await expect(cluster.reader[EXECUTE](sleep, { timeoutMs: -1 })).rejects.toThrow(
    InvalidArgumentError,
  )
  await expect(cluster.reader[EXECUTE](sleep, { maxLagMs: Number.NaN })).rejects.toThrow(
    InvalidArgumentError,
  )
})

test('a cancel that overtakes its statement is repeated: nothing runs on for nobody', async () => {
  const late = await openLateProxy(fixture.db.config.master)
  onTestFinished(() => late.close())
  const cluster = fixture.open({}, ({ master }) => ({
    master: { ...master, port: late.port },
    settings: { allowSameServer: true },
  }))
  const running = async (): Promise<number | null> =>
    (
      await fixture.db.admin.query(
        "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(603)' AND state = 'active'",
      )
    ).rowCount
  const sleep = { text: 'SELECT pg_sleep(603)' }
  const calls = [
    (timeoutMs: number) => cluster.reader[EXECUTE](sleep, { timeoutMs }),
    (timeoutMs: number) => cluster.writer[EXECUTE](sleep, { timeoutMs }),
    (timeoutMs: number) => cluster.transaction(() => cluster.writer.query(sleep), { timeoutMs }),
  ]
  for (const call of calls) {
    const { cancels } = late
    expect(await giveUpWhenSent(late, sleep.text, call)).toBeInstanceOf(SegregatoError)
    await expect.poll(() => late.cancels).toBeGreaterThan(cancels + 1)
    await expect.poll(running).toBe(0)
  }
})

test('a write given up after it was sent says whether it was done', async () => {
  const cluster = fixture.open()
  const slow = { text: 'INSERT INTO posts SELECT 1 FROM pg_sleep(60)' }
  await expect(cluster.writer[EXECUTE](slow, { timeoutMs: 80 })).rejects.toThrow(
    DeadlineExceededError,
  )
  expect(await stored()).toBe(0)
  const hung = through('master')
  await hung.writer.query('SELECT 1')
  proxies.master.swallow('INSERT INTO posts')
  const error: unknown = await hung.writer[EXECUTE](
    { text: 'INSERT INTO posts VALUES (2)' },
    { timeoutMs: 1_500 },
  ).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(WriteOutcomeUnknownError)
  expect(error).toMatchObject({ cause: { code: 'SEGREGATO_DEADLINE_EXCEEDED' } })
  expect(await stored()).toBe(1)
})

test('a COMMIT given up is unknown', async () => {
  const cluster = through('master')
  proxies.master.swallow('COMMIT')
  const write = cluster.transaction(() => cluster.writer.query('INSERT INTO posts VALUES (1)'), {
    timeoutMs: 1_500,
  })
  await expect(write).rejects.toThrow(WriteOutcomeUnknownError)
  expect(await stored()).toBe(1)
})

test('a password that is put right is used again', async () => {
  let password = 'wrong'
  const cluster = fixture.open({}, ({ master, replica1 }) => ({
    master,
    replica1: { ...replica1, password: async () => password },
  }))
  await expect(cluster.reader.query('SELECT 1')).rejects.toThrow(ConfigError)
  password = fixture.db.config.master.password
  await expect
    .poll(() => answered(cluster).catch(() => 'refused'), { timeout: 5_000 })
    .toBe('replica1')
})

test('a password function that fails is announced, and the other replica serves', async () => {
  const cluster = fixture.open({}, (config) => ({
    ...config,
    replica1: {
      ...config.replica1,
      password: () => Promise.reject(new Error('the vault is sealed')),
    },
  }))
  const events: NodeEvent[] = []
  cluster.events.on('node', (event) => events.push(event))
  expect([await answered(cluster), await answered(cluster)]).toEqual(['replica2', 'replica2'])
  expect(events).toMatchObject([{ node: 'replica1', state: 'misconfigured' }])
})
