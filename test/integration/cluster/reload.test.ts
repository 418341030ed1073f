import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import type { ReloadEvent } from '../../../src/cluster/events.ts'
import { ClusterClosedError, ConfigError, InvalidArgumentError } from '../../../src/errors.ts'
import { useCluster, WHO } from '../../support/cluster.ts'

const fixture = useCluster('CREATE TABLE posts (id int PRIMARY KEY)')
const directory = mkdtempSync(join(tmpdir(), 'segregato-reload-'))
afterAll(() => rmSync(directory, { recursive: true }))

const answered = async (cluster: Cluster): Promise<string> =>
  fixture.nameOf((await cluster.reader.query(WHO)).rows[0])

/** Which servers answer many reads. */
const serving = async (cluster: Cluster): Promise<string[]> => {
  const names = new Set<string>()
  for (let turn = 0; turn < 8; turn++) names.add(await answered(cluster))
  return [...names].toSorted()
}

/** The connections of one application to one server, its questions included. */
const connections = async (server: string, name: string): Promise<number> => {
  const { rowCount } = await fixture.db
    .on(server)
    .query('SELECT FROM pg_stat_activity WHERE application_name LIKE $1', [`${name}%`])
  return rowCount ?? 0
}

const named = (name: string) => {
  const { master, replica1, replica2 } = fixture.db.config
  const as = (node: typeof master) => ({ ...node, applicationName: name })
  return { master: as(master), replica1: as(replica1!), replica2: as(replica2!) }
}

test('a replica goes when its work is done, and comes again', async () => {
  const { master, replica1, replica2 } = named('in-and-out')
  const cluster = fixture.open({}, () => ({ master, replica1, replica2 }))
  const events: ReloadEvent[] = []
  cluster.events.on('reload', (event) => events.push(event))
  expect(await serving(cluster)).toEqual(['replica1', 'replica2'])
  const slow = cluster.using('replica2', () =>
    cluster.reader.query("SELECT pg_sleep(0.5), 'done' AS answer"),
  )
  await expect.poll(() => cluster.reader.idleCount).toBeLessThan(cluster.reader.totalCount)
  const reloaded = cluster.reload({ config: { master, replica1 } })
  expect(cluster.status().nodes.map(({ node }) => node)).toEqual(['master', 'replica1'])
  expect(await serving(cluster)).toEqual(['replica1'])
  // What runs on it still counts as the pool's.
  expect(cluster.reader.totalCount).toBeGreaterThan(1)
  expect((await slow).rows[0].answer).toBe('done')
  await reloaded
  await expect.poll(() => connections('replica2', 'in-and-out')).toBe(0)
  expect(cluster.reader.totalCount).toBe(1)

  let opened = 0
  cluster.reader.on('connect', () => opened++)
  await cluster.reload({ config: { master, replica1, replica2 } })
  expect(await serving(cluster)).toEqual(['replica1', 'replica2'])
  expect([opened, cluster.reader.totalCount]).toEqual([1, 2])
  expect(events).toEqual([
    { added: [], removed: ['replica2'] },
    { added: ['replica2'], removed: [] },
  ])
})

test('what does not end in time is cancelled', async () => {
  const { master, replica1, replica2 } = named('hung')
  const cluster = fixture.open({}, () => ({ master, replica1, replica2 }))
  const hung = cluster
    .using('replica2', () => cluster.reader.query('SELECT pg_sleep(63)'))
    .catch((error: unknown) => error)
  await expect.poll(() => cluster.reader.totalCount).toBe(1)
  await cluster.reload({ config: { master, replica1 }, timeoutMs: 100 })
  expect(await hung).toBeInstanceOf(Error)
  await expect.poll(() => connections('replica2', 'hung')).toBe(0)
  await expect(cluster.reload({ timeoutMs: -1 })).rejects.toThrow(InvalidArgumentError)
})

test('a bad configuration, or another master, changes nothing', async () => {
  const { master, replica1, replica2 } = fixture.db.config
  const cluster = fixture.open()
  await serving(cluster)
  const before = cluster.status().nodes.map(({ node, port }) => [node, port])
  const bad: unknown[] = [
    { master },
    { master: { ...master, port: 'x' }, replica1 },
    { master: { ...master, database: 'another' }, replica1, replica2 },
    'no/such/file.yml',
  ]
  for (const config of bad)
    await expect(cluster.reload({ config } as never)).rejects.toThrow(ConfigError)
  await expect(
    cluster.reload({ config: { master: { ...master, database: 'another' }, replica1: replica1! } }),
  ).rejects.toThrow(/open a new cluster with connect\(\)/)
  expect(cluster.status().nodes.map(({ node, port }) => [node, port])).toEqual(before)
  // Nor does it change where the configuration comes from.
  await cluster.reload()
  expect(await serving(cluster)).toEqual(['replica1', 'replica2'])
  await cluster.close()
  await expect(cluster.reload()).rejects.toThrow(ClusterClosedError)
})

test('the file may name another known node as master; the present one stays until it is none', async () => {
  const { master, replica1, replica2 } = fixture.db.config
  const cluster = fixture.open()
  await serving(cluster)
  await cluster.reload({ config: { master: replica1!, replica1: master, replica2: replica2! } })
  expect(cluster.status().nodes.map(({ node, role }) => [node, role])).toEqual([
    ['master', 'replica'],
    ['replica1', 'primary'],
    ['replica2', 'replica'],
  ])
  expect(fixture.nameOf((await cluster.writer.query(WHO)).rows[0])).toBe('master')
})

test('settings and what is said of nodes change without a new connection', async () => {
  const { master, replica1, replica2 } = named('settings')
  const cluster = fixture.open({}, () => ({ master, replica1, replica2 }))
  await serving(cluster)
  await cluster.writer.query('SELECT 1')
  const pids = async () => {
    const rows = await Promise.all(
      ['master', 'replica1', 'replica2'].map((server) =>
        fixture.db
          .on(server)
          .query("SELECT pid FROM pg_stat_activity WHERE application_name = 'settings'"),
      ),
    )
    return rows.flatMap((each) => each.rows.map(({ pid }) => String(pid))).toSorted()
  }
  const before = await pids()
  await cluster.reload({
    config: {
      master,
      replica1: { ...replica1, pool: 1 },
      second: { ...replica2, weight: 3, tags: ['heavy'] },
      settings: { balancing: 'weighted', replicaShare: 0.5, maxLagMs: 60_000 },
    },
  })
  expect(cluster.replicaShare).toBe(0.5)
  cluster.replicaShare = 1
  const names: string[] = []
  for (let turn = 0; turn < 8; turn++) names.push(await answered(cluster))
  expect(names.filter((name) => name === 'replica2')).toHaveLength(6)
  const heavy = await cluster.using('heavy', () => cluster.reader.query(WHO))
  expect(heavy).toMatchObject({ routing: { node: 'second', role: 'replica' } })
  expect(await pids()).toEqual(before)
  // A pool that has become smaller opens no more than it may.
  await cluster.using('replica1', () =>
    Promise.all([1, 2, 3, 4].map((n) => cluster.reader.query(`SELECT ${n} FROM pg_sleep(0.05)`))),
  )
  expect(await connections('replica1', 'settings')).toBe(2)
  // The share that was set at run time stays as long as the configuration says the same.
  await cluster.reload()
  expect(cluster.replicaShare).toBe(1)
})

test('a node whose connections are made in another way is replaced', async () => {
  const { master, replica1, replica2 } = named('before')
  const cluster = fixture.open({}, () => ({ master, replica1, replica2 }))
  await serving(cluster)
  await cluster.writer.query('SELECT 1')
  const events: ReloadEvent[] = []
  cluster.events.on('reload', (event) => events.push(event))
  await cluster.reload({ config: named('after') })
  expect(events[0]).toEqual({
    added: ['master', 'replica1', 'replica2'],
    removed: ['master', 'replica1', 'replica2'],
  })
  expect(await serving(cluster)).toEqual(['replica1', 'replica2'])
  await cluster.writer.query('SELECT 1')
  for (const server of ['master', 'replica1', 'replica2']) {
    await expect.poll(() => connections(server, 'before')).toBe(0)
    expect(await connections(server, 'after')).toBeGreaterThan(0)
  }
})

test('a session whose replica has left goes on elsewhere and sees no less', async () => {
  const { master, replica1, replica2 } = fixture.db.config
  const both: Record<string, typeof master> = { replica1: replica1!, replica2: replica2! }
  const cluster = fixture.open()
  await cluster.session(async () => {
    await cluster.writer.query('INSERT INTO posts VALUES (1)')
    const first = await answered(cluster)
    expect([await answered(cluster), await answered(cluster)]).toEqual([first, first])
    const other = first === 'replica1' ? 'replica2' : 'replica1'
    await cluster.reload({ config: { master, [other]: both[other]! } })
    const seen = await cluster.reader.query('SELECT id FROM posts')
    expect(seen).toMatchObject({ rows: [{ id: 1 }], routing: { node: other } })
  })
})

test('reloading without end, half-written files included, fails nobody', async () => {
  const file = join(directory, 'database.yml')
  const { master, replica1, replica2 } = fixture.db.config
  const snake = ({ ...node }: typeof master, applicationName = 'loop') => ({
    ...node,
    application_name: applicationName,
  })
  // A text that is cut anywhere is not YAML any more.
  const texts = [
    { master: snake(master), replica1: snake(replica1!), replica2: snake(replica2!) },
    { master: snake(master), replica2: snake(replica2!) },
    { master: snake(master), replica1: snake(replica1!, 'loop other') },
    { master: snake(master, 'loop other'), replica1: snake(replica1!), replica2: snake(replica2!) },
  ].map((environment) => JSON.stringify({ development: environment }))
  writeFileSync(file, texts[0]!)
  const cluster = connect({ config: file, env: 'development' })
  const failures: unknown[] = []
  const outcomes = { ok: 0, refused: 0, reads: 0, writes: 0 }
  const going = { on: true }
  const loop = async (work: () => Promise<unknown>, count: 'reads' | 'writes') => {
    while (going.on) {
      await work().then(
        () => outcomes[count]++,
        (error: unknown) => failures.push(error),
      )
    }
  }
  const load = [
    ...Array.from({ length: 4 }, () => loop(() => cluster.reader.query('SELECT 1'), 'reads')),
    loop(() => cluster.writer.query('SELECT 1'), 'writes'),
    loop(() => cluster.transaction(() => cluster.writer.query('SELECT pg_sleep(0.005)')), 'writes'),
    loop(() => cluster.session(() => cluster.reader.query('SELECT pg_sleep(0.005)')), 'reads'),
  ]
  for (let round = 0; round < 60; round++) {
    const text = texts[round % texts.length]!
    const half = Math.floor(text.length * ((round % 7) / 7))
    writeFileSync(file, text.slice(0, half))
    const torn = cluster.reload().then(
      () => outcomes.ok++,
      (error: unknown) => {
        if (error instanceof ConfigError) outcomes.refused++
        else failures.push(error)
      },
    )
    writeFileSync(file, text)
    const whole = cluster.reload().then(() => outcomes.ok++)
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.all([torn, whole])
  }
  going.on = false
  await Promise.all(load)
  expect(failures).toEqual([])
  expect(outcomes).toMatchObject({ ok: 60, refused: 60 })
  expect(Math.min(outcomes.reads, outcomes.writes)).toBeGreaterThan(20)
  await cluster.close()
  for (const server of ['master', 'replica1', 'replica2'])
    await expect.poll(() => connections(server, 'loop')).toBe(0)
})
