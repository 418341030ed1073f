import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { connect } from '../../../src/cluster/connect.ts'
import { Core } from '../../../src/cluster/core.ts'
import { ReaderPool } from '../../../src/cluster/reader-pool.ts'
import { currentToken, runSession } from '../../../src/cluster/session.ts'
import { WriterPool } from '../../../src/cluster/writer-pool.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { HistoryLostError } from '../../../src/errors.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'

/** The parts of a cluster without its monitor: the test says which node is the primary. */
interface Parts {
  readonly core: Core
  read(): Promise<{ ids: number[]; node: string; reason: string; waitedMs: number }>
  write(id: number): Promise<void>
  sql(text: string): Promise<unknown>
  session<T>(fn: () => Promise<T>, token?: string): Promise<T>
  token(): Promise<string>
  /** From now on this server is the primary of these parts. */
  follow(name: string): void
}

const KEYS = [{ id: 'k1', secret: 'a secret of the tests' }]
const opened: Core[] = []
const clusters: TestCluster[] = []
afterAll(async () => {
  for (const core of opened) {
    core.consistency.close()
    for (const { connections } of core.nodes) for (const each of connections) each.destroy()
  }
  await Promise.all(clusters.map((servers) => servers.close()))
})

const start = async (): Promise<TestCluster> => {
  const servers = await startCluster({ replicas: 2 })
  clusters.push(servers)
  return servers
}

const open = (servers: TestCluster, settings: object = {}, user: object = {}): Parts => {
  const nodes = Object.fromEntries(
    Object.entries(servers.config).map(([name, node]) => [name, { ...node, ...user }]),
  )
  // A budget that no test spends: a read that waits for what will not come would not end.
  const waiting = { waitTimeoutMs: 120_000, ...settings }
  const core = new Core(loadConfig({ config: { ...nodes, settings: waiting } as never }), {})
  opened.push(core)
  const [reader, writer] = [new ReaderPool(core), new WriterPool(core)]
  const query = (pool: pg.Pool, text: string) => pool.query(text) as Promise<pg.QueryResult>
  return {
    core,
    read: async () => {
      const result = await query(reader, 'SELECT id FROM posts ORDER BY id')
      const { routing } = result as unknown as {
        routing: { node: string; reason: string; waitedMs: number }
      }
      return { ids: result.rows.map(({ id }) => id as number), ...routing }
    },
    write: async (id) => {
      await query(writer, `INSERT INTO posts VALUES (${id})`)
    },
    sql: (text) => query(writer, text),
    session: (fn, token) => runSession(core, KEYS, fn, token === undefined ? {} : { token }),
    token: async () => (await currentToken(core, KEYS))!,
    follow: (name) => core.topology.promote(core.nodes.find((node) => node.name === name)!),
  }
}

const tableOn = async (servers: TestCluster): Promise<void> => {
  const parts = open(servers)
  await parts.sql('CREATE TABLE posts (id int PRIMARY KEY)')
  // Reads can start anywhere.
  await onReplicas(servers, "to_regclass('posts') IS NOT NULL")
}

/** Waits until both replicas have what the condition asks for. */
const onReplicas = async (servers: TestCluster, condition: string): Promise<void> => {
  for (const name of ['replica1', 'replica2']) {
    const client = new pg.Client(servers.url(name))
    await client.connect()
    await expect
      .poll(async () => (await client.query(`SELECT ${condition} AS found`)).rows[0].found)
      .toBe(true)
    await client.end()
  }
}

test('a failover that has lost nothing: sessions and tokens of before go on', async () => {
  const servers = await start()
  await tableOn(servers)
  const parts = open(servers)
  const events: unknown[] = []
  parts.core.events.on('history', (event) => events.push(event))
  const token = await parts.session(async () => {
    await parts.write(1)
    return parts.token()
  })
  // Both have it.
  for (let seen = new Set(); seen.size < 2;) seen.add((await parts.read()).node)
  await servers.stop('master')
  await servers.promote('replica1')
  await servers.follow('replica2', 'replica1')
  parts.follow('replica1')
  expect((await parts.read()).ids).toEqual([1])
  expect((await parts.session(parts.read, token)).ids).toEqual([1])
  await parts.write(2)
  // From the replica of the new primary, which is on its timeline.
  await expect.poll(async () => (await parts.read()).node).toBe('replica2')
  expect((await parts.read()).ids).toEqual([1, 2])
  expect(events).toEqual([])
  expect(parts.core.counts.lostHistories).toBe(0)
})

test('a replica of the old history shows nothing of the new one, however far it has come', async () => {
  const servers = await start()
  await tableOn(servers)
  const old = open(servers)
  const parts = open(servers, { waitTimeoutMs: 30 })
  // replica1 misses what replica2 has, and becomes the primary all the same.
  await servers.stop('replica1')
  for (let id = 100; id < 200; id++) await old.write(id)
  await old.session(async () => {
    for (;;) if ((await old.read()).node === 'replica2') break
  })
  await servers.kill('master')
  await servers.start('replica1')
  await servers.promote('replica1')
  parts.follow('replica1')
  await parts.write(1)
  // replica2 stands at a higher position, of another history.
  for (let turn = 0; turn < 5; turn++) {
    expect(
      await parts.session(async () => (await parts.write(2 + turn), parts.read())),
    ).toMatchObject({ node: 'replica1' })
  }
})

test('what a failover has lost: an error or the primary, and nobody waits for it', async () => {
  const servers = await start()
  await tableOn(servers)
  const parts = open(servers)
  const lenient = open(servers, { onHistoryLost: 'primary' })
  const events: { explicit: boolean }[] = []
  parts.core.events.on('history', (event) => events.push(event))
  await servers.stop('replica1')
  const token = await parts.session(async () => {
    await parts.write(1)
    return parts.token()
  })
  let resume = (): void => {}
  const promoted = new Promise<void>((resolve) => (resume = resolve))
  const during = parts.session(async () => {
    await parts.write(2)
    await promoted
    const first: unknown = await parts.read().catch((error: unknown) => error)
    const second: unknown = await parts.read().catch((error: unknown) => error)
    return [first, second]
  })
  await expect.poll(() => parts.read().then(({ ids }) => ids)).toEqual([1, 2])
  await servers.kill('master')
  await servers.start('replica1')
  await servers.promote('replica1')
  await servers.follow('replica2', 'replica1')
  for (const each of [parts, lenient]) each.follow('replica1')
  // The process: what is left, and one event.
  expect((await parts.read()).ids).toEqual([])
  expect((await parts.read()).ids).toEqual([])
  expect(events).toMatchObject([{ explicit: false, timeline: 1, presentTimeline: 2 }])
  // A session that was open all the time: an error for each of its reads.
  resume()
  const [first, second] = await during
  expect(first).toBeInstanceOf(HistoryLostError)
  expect(second).toBe(first)
  // A token of what is lost.
  const refused: unknown = await parts.session(parts.read, token).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(HistoryLostError)
  expect(refused).toMatchObject({ code: 'SEGREGATO_HISTORY_LOST', timeline: 1 })
  expect(await lenient.session(lenient.read, token)).toMatchObject({
    ids: [],
    node: 'replica1',
    reason: 'not-caught-up',
  })
  expect(parts.core.counts.lostHistories).toBe(events.length)
})

test('a timeline that goes back: what was written on the newer one is lost', async () => {
  const servers = await start()
  await tableOn(servers)
  const [before, after] = [open(servers), open(servers)]
  await servers.promote('replica1')
  after.follow('replica1')
  const token = await after.session(async () => {
    await after.write(1)
    return after.token()
  })
  await expect(before.session(before.read, token)).rejects.toThrow(HistoryLostError)
})

test('where the history may not be read, the primary shows what there is', async () => {
  const servers = await start()
  await tableOn(servers)
  const admin = open(servers)
  await admin.sql("CREATE ROLE app LOGIN PASSWORD 'app'; GRANT SELECT, INSERT ON posts TO app")
  await onReplicas(servers, "EXISTS (SELECT FROM pg_roles WHERE rolname = 'app')")
  const parts = open(servers, {}, { username: 'app', password: 'app' })
  const token = await parts.session(async () => {
    await parts.write(1)
    return parts.token()
  })
  for (let seen = new Set(); seen.size < 2;) seen.add((await parts.read()).node)
  await servers.stop('master')
  await servers.promote('replica1')
  await servers.follow('replica2', 'replica1')
  parts.follow('replica1')
  const read = await parts.session(parts.read, token)
  expect(read).toMatchObject({ ids: [1], node: 'replica1', reason: 'not-caught-up' })
  expect(parts.core.counts).toMatchObject({ lostHistories: 0, refusedTokens: 0 })
})

test('a token of a promotion that this process has not noticed is not read back from the old primary', async () => {
  await using servers = await startCluster({ replicas: 2 })
  const tokenKeys = [{ id: 'k1', secret: 'a secret of the tests' }]
  await using one = connect({ config: servers.config, tokenKeys })
  await using two = connect({ config: servers.config, tokenKeys })
  const insert = (id: number, timeoutMs: number) =>
    one.transaction(() => one.writer.query('INSERT INTO posts VALUES ($1)', [id]), { timeoutMs })
  await one.writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
  await insert(1, 10_000)
  await two.reader.query('SELECT 1')
  await servers.freeze('master')
  await servers.promote('replica1')
  const token = await one.session(async () => {
    // The first attempt finds that the primary has gone.
    await insert(2, 3_000).catch(() => insert(2, 20_000))
    return one.token()
  })
  await servers.thaw('master')
  const { rows } = await two.session(() => two.reader.query('SELECT id FROM posts ORDER BY id'), {
    token,
  })
  expect(rows.map(({ id }) => id)).toContain(2)
})
