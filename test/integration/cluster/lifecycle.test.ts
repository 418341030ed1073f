import { inspect } from 'node:util'
import { afterEach, expect, test, vi } from 'vitest'
import pg from 'pg'
import { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import { defaultCluster } from '../../../src/cluster/default-cluster.ts'
import {
  ClusterClosedError,
  ConfigError,
  DefaultClusterError,
  InvalidArgumentError,
} from '../../../src/errors.ts'
import { useCluster } from '../../support/cluster.ts'
import { watchStatements } from '../../support/servers.ts'

const fixture = useCluster('CREATE TABLE posts (id int PRIMARY KEY)')

const fromEnvironment = (): void => {
  vi.stubEnv('DB_CONFIG', new URL('../../fixtures/lifecycle.yml', import.meta.url).pathname)
  vi.stubEnv('DB_ENV', 'test')
  const { master, replica1 } = fixture.db.config
  vi.stubEnv('MASTER_PORT', String(master.port))
  vi.stubEnv('REPLICA_PORT', String(replica1!.port))
  vi.stubEnv('DATABASE', master.database)
  vi.stubEnv('DB_USER', master.username)
  vi.stubEnv('DB_PASSWORD', master.password)
}

const opened: Cluster[] = []
const open = (): Cluster => {
  const cluster = connect({ config: fixture.db.config })
  opened.push(cluster)
  return cluster
}
afterEach(async () => {
  vi.unstubAllEnvs()
  await Promise.all(opened.splice(0).map((cluster) => cluster.close()))
})

test('connect() opens no socket, the first statement its own and one for questions to each node', async () => {
  const sockets = vi.spyOn(pg.Connection.prototype as unknown as { connect(): void }, 'connect')
  const cluster = open()
  expect(cluster.reader.totalCount + cluster.writer.totalCount).toBe(0)
  expect(sockets).not.toHaveBeenCalled()
  await cluster.reader.query('SELECT 1')
  expect(sockets).toHaveBeenCalledTimes(1 + 3)
  sockets.mockRestore()
})

test('the first cluster opened is the default, after it the next one', async () => {
  const [first, second] = [open(), open()]
  expect(defaultCluster()).toBe(first)
  await first.close()
  expect(defaultCluster()).toBe(second)
  await second.close()
  const third = open()
  expect(defaultCluster()).toBe(third)
})

test('without one, the environment names it, once for all; opening one after that is an error', async () => {
  fromEnvironment()
  const all = await Promise.all(Array.from({ length: 5 }, async () => defaultCluster()))
  expect(new Set(all).size).toBe(1)
  opened.push(all[0]!)
  expect((await all[0]!.reader.query('SELECT current_database() AS name')).rows).toEqual([
    { name: fixture.db.name },
  ])
  expect(() => connect({ config: fixture.db.config })).toThrow(DefaultClusterError)
  await all[0]!.close()
  expect(defaultCluster()).not.toBe(all[0])
  opened.push(defaultCluster())
})

test('a bad configuration opens nothing and can be mended', () => {
  vi.stubEnv('DB_CONFIG', '/nowhere/database.yml')
  expect(() => defaultCluster()).toThrow(ConfigError)
  const cluster = open()
  expect(defaultCluster()).toBe(cluster)
})

test('close() refuses new work, lets running work finish, and may be called again', async () => {
  const cluster = open()
  const running = cluster.writer.query("SELECT pg_sleep(0.3), 'done' AS answer")
  const scope = cluster.transaction(async () => {
    await cluster.writer.query('SELECT pg_sleep(0.2)')
    return (await cluster.writer.query("SELECT 'inside' AS answer")).rows
  })
  await expect.poll(() => cluster.writer.totalCount).toBe(2)
  const closing = cluster.close()
  expect(cluster.close()).toBe(closing)
  const log = await watchStatements(fixture.db.name)
  for (const work of [
    () => cluster.writer.query('SELECT 1'),
    () => cluster.reader.query('SELECT 1'),
    () => cluster.reader.connect(),
    () => cluster.transaction(async () => 1),
    () => cluster.snapshot(async () => 1),
    () => cluster.using('primary', async () => 1),
    () => cluster.verify(),
  ]) {
    await expect(work()).rejects.toThrow(ClusterClosedError)
  }
  expect((await log.texts()).filter((text) => text === 'SELECT 1')).toEqual([])
  expect((await running).rows[0].answer).toBe('done')
  expect(await scope).toEqual([{ answer: 'inside' }])
  await closing
  expect(cluster.status().state).toBe('closed')
  expect(cluster.writer.totalCount).toBe(0)
})

test('close({ timeoutMs }) does not wait for a hung statement, and leaves none on the server', async () => {
  const cluster = open()
  const hung = cluster.reader.query('SELECT pg_sleep(62)').catch((error: unknown) => error)
  await expect.poll(() => cluster.reader.totalCount).toBe(1)
  await cluster.close({ timeoutMs: 50 })
  expect(await hung).toBeInstanceOf(Error)
  for (const server of ['replica1', 'replica2']) {
    const running =
      "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(62)' AND state = 'active'"
    await expect.poll(async () => (await fixture.db.on(server).query(running)).rowCount).toBe(0)
  }
  await expect(open().close({ timeoutMs: -1 })).rejects.toThrow(InvalidArgumentError)
})

test('a misspelt option is an error that names those there are', async () => {
  expect(() => connect({ configuration: 'database.yml' } as never)).toThrow(
    'connect() has no option "configuration". There are: env, config, pool, tokenKeys',
  )
  const cluster = open()
  await expect(cluster.close({ timeout: 5 } as never)).rejects.toThrow(InvalidArgumentError)
  await expect(cluster.session(async () => 1, { tokens: 'x' } as never)).rejects.toThrow(
    InvalidArgumentError,
  )
  await expect(cluster.reload({ file: 'database.yml' } as never)).rejects.toThrow(
    InvalidArgumentError,
  )
  expect(cluster.status().state).toBe('open')
})

test('close() does not forget who waits for a connection', async () => {
  const cluster = connect({
    config: { ...fixture.db.config, master: { ...fixture.db.config.master, pool: 1 } },
  })
  const answers = Promise.all(
    [1, 2, 3].map((n) => cluster.writer.query(`SELECT ${n} AS n FROM pg_sleep(0.05)`)),
  )
  await expect.poll(() => cluster.writer.waitingCount).toBe(2)
  await cluster.close()
  expect((await answers).map(({ rows }) => rows[0].n)).toEqual([1, 2, 3])
})

test('await using closes', async () => {
  let cluster: Cluster
  {
    await using scoped = connect({ config: fixture.db.config })
    cluster = scoped
    await cluster.reader.query('SELECT 1')
  }
  expect(cluster.status().state).toBe('closed')
})

test('no secret shows in anything that a cluster shows', async () => {
  const cluster = open()
  await Promise.all([cluster.reader.query('SELECT 1'), cluster.writer.query('SELECT 1')])
  const client = await cluster.writer.connect()
  const { password } = fixture.db.config.master
  const shown = [cluster, cluster.reader, cluster.writer, cluster.status(), client].flatMap(
    (object) => [
      inspect(object, { depth: Infinity, showHidden: false }),
      JSON.stringify(object, withoutCycles()),
    ],
  )
  client.release()
  expect(password.length).toBeGreaterThan(5)
  for (const text of shown) expect(text).not.toContain(password)
})

test('at most 20 public members', () => {
  const members = Object.getOwnPropertyNames(Cluster.prototype).filter(
    (name) => name !== 'constructor',
  )
  expect([...members, ...Object.keys(open())].length).toBeLessThanOrEqual(20)
})

const withoutCycles = (): ((key: string, value: unknown) => unknown) => {
  const seen = new WeakSet<object>()
  return (_key, value) => {
    if (typeof value === 'bigint') return String(value)
    if (typeof value !== 'object' || value === null) return value
    if (seen.has(value)) return undefined
    seen.add(value)
    return value
  }
}
