import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type QueryResultRow } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestClusterError } from '../../../src/errors.ts'
import { startCluster, type TestCluster } from '../../../src/testing/start-cluster.ts'

let servers: TestCluster
beforeAll(async () => {
  servers = await startCluster({
    replicas: 2,
    database: 'Blog "x"',
    password: "it's \\ a secret",
    settings: { work_mem: '5MB' },
  })
  await rows('master', 'CREATE TABLE notes (id int)')
})
afterAll(() => servers.close())

const connect = async (name: string): Promise<Client> => {
  const client = new Client({ connectionString: servers.url(name), connectionTimeoutMillis: 2_000 })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

const rows = async <Row extends QueryResultRow>(
  name: string,
  text: string,
): Promise<readonly Row[]> => {
  const client = await connect(name)
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end().catch(() => undefined)
  }
}

const ids = async (name: string): Promise<readonly number[]> =>
  (await rows<{ id: number }>(name, 'SELECT id FROM notes ORDER BY id')).map(({ id }) => id)

const isReplica = async (name: string): Promise<boolean | undefined> =>
  (await rows<{ is: boolean }>(name, 'SELECT pg_is_in_recovery() AS is'))[0]?.is

const insert = (id: number, name = 'master'): Promise<unknown> =>
  rows(name, `INSERT INTO notes VALUES (${id})`)

const shows = (name: string, id: number): Promise<void> =>
  expect.poll(() => ids(name), { timeout: 15_000, interval: 20 }).toContain(id)

/** Resolves when the replica has received everything, replayed or not. */
const received = async (name: string): Promise<void> => {
  const [row] = await rows<{ lsn: string }>('master', 'SELECT pg_current_wal_flush_lsn() AS lsn')
  await expect
    .poll(
      async () =>
        (
          await rows<{ done: boolean }>(
            name,
            `SELECT pg_last_wal_receive_lsn() >= '${row?.lsn}' AS done`,
          )
        )[0]?.done,
      { timeout: 15_000 },
    )
    .toBe(true)
}

test('one primary, and replicas of it, with the settings that were given', async () => {
  expect(Object.keys(servers.config)).toEqual(['master', 'replica1', 'replica2'])
  expect(await isReplica('master')).toBe(false)
  for (const name of ['replica1', 'replica2']) {
    expect(await isReplica(name)).toBe(true)
    expect(await rows(name, 'SHOW work_mem')).toEqual([{ work_mem: '5MB' }])
  }
  const systems = await Promise.all(
    Object.keys(servers.config).map((name) =>
      rows(name, 'SELECT system_identifier::text FROM pg_control_system()'),
    ),
  )
  expect(new Set(systems.map((found) => JSON.stringify(found))).size).toBe(1)
})

test('the configuration reaches the servers, and a wrong password does not', async () => {
  const { host, port, database, username: user, password } = servers.config.master
  const right = new Client({ host, port, database, user, password })
  await right.connect()
  await right.end()
  const wrong = new Client({ host, port, database, user, password: 'wrong' })
  await expect(wrong.connect()).rejects.toMatchObject({ code: '28P01' })
})

test('a replica with paused replay shows nothing new until it is resumed', async () => {
  await servers.pauseReplay('replica1')
  await insert(10)
  await shows('replica2', 10)
  await received('replica1')
  expect(await ids('replica1')).not.toContain(10)
  await servers.resumeReplay('replica1')
  await shows('replica1', 10)
})

test('an apply delay keeps back what has been received, until it is taken away', async () => {
  await servers.setApplyDelay('replica1', 3_600_000)
  await insert(20)
  await shows('replica2', 20)
  await received('replica1')
  expect(await ids('replica1')).not.toContain(20)
  await servers.setApplyDelay('replica1', 0)
  await shows('replica1', 20)
})

test('a frozen server keeps its connections and answers nobody, until it is thawed', async () => {
  const client = await connect('replica1')
  await servers.freeze('replica1')
  let answered = false
  const answer = client.query('SELECT 1').then(() => (answered = true))
  await expect(connect('replica1')).rejects.toThrow(/timeout/)
  expect(answered).toBe(false)
  await expect(servers.pauseReplay('replica1')).rejects.toThrow(/frozen/)
  await servers.thaw('replica1')
  await answer
  await client.end()
  await insert(30)
  await shows('replica1', 30)
})

test('a stopped server refuses connections, and starts again where it was', async () => {
  const { port } = servers.config['replica2']!
  const client = await connect('replica2')
  const ended = new Promise((resolve) => client.once('end', resolve))
  await servers.stop('replica2')
  await ended
  await expect(connect('replica2')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await insert(40)
  await servers.start('replica2')
  expect(servers.config['replica2']!.port).toBe(port)
  await shows('replica2', 40)
})

test('a killed server says nothing to its clients, keeps what was committed, and starts again', async () => {
  const client = await connect('master')
  await client.query('INSERT INTO notes VALUES (50)')
  const pending = client.query('SELECT pg_sleep(60)')
  const failure = expect(pending).rejects.toThrow(/Connection terminated unexpectedly|ECONNRESET/)
  await sleep(20)
  await servers.kill('master')
  await failure
  await expect(connect('master')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await servers.start('master')
  expect(await ids('master')).toContain(50)
  await insert(51)
  await shows('replica1', 51)
  await shows('replica2', 51)
})

test('a frozen server can be killed and stopped', async () => {
  await servers.freeze('replica1')
  await servers.kill('replica1')
  await servers.start('replica1')
  await servers.freeze('replica1')
  await servers.stop('replica1')
  await servers.start('replica1')
  await insert(60)
  await shows('replica1', 60)
})

test('after a promotion the other replica and the old primary follow the new one', async () => {
  await servers.kill('master')
  await servers.promote('replica1')
  expect(await isReplica('replica1')).toBe(false)
  await insert(70, 'replica1')
  await servers.follow('replica2', 'replica1')
  await shows('replica2', 70)
  await servers.follow('master', 'replica1')
  expect(await isReplica('master')).toBe(true)
  await shows('master', 70)
  // And back, while all of them run: the roles and the names are as before.
  await servers.promote('master')
  await insert(71)
  await servers.follow('replica1', 'master')
  await servers.follow('replica2', 'master')
  await insert(72)
  await shows('replica1', 72)
  await shows('replica2', 72)
  const slots = await rows(
    'replica1',
    "SELECT slot_name FROM pg_replication_slots WHERE slot_name = 'segregato_replica2'",
  )
  expect(slots).toEqual([])
})

test('a replica that is ahead of the new primary is copied anew', async () => {
  await servers.pauseReplay('replica1')
  await servers.stop('replica1')
  await insert(80)
  await shows('replica2', 80)
  await servers.stop('master')
  await servers.start('replica1')
  await servers.promote('replica1')
  await insert(81, 'replica1')
  await servers.follow('replica2', 'replica1')
  await shows('replica2', 81)
  expect(await ids('replica2')).not.toContain(80)
})

test('unknown names, wrong values and servers that do not run are errors that say so', async () => {
  expect(() => servers.url('replica9')).toThrow(
    "No server is called 'replica9'. There are: master, replica1, replica2",
  )
  await expect(servers.pauseReplay('nobody')).rejects.toThrow(TestClusterError)
  await expect(servers.setApplyDelay('replica2', -1)).rejects.toThrow(TestClusterError)
  await expect(servers.pauseReplay('master')).rejects.toThrow(
    "master does not run. start('master') first",
  )
  await expect(servers.follow('replica2', 'replica2')).rejects.toThrow(TestClusterError)
  await expect(servers.follow('replica1', 'replica2')).rejects.toThrow(/is a replica/)
  await expect(startCluster({ replicas: -1 })).rejects.toThrow(TestClusterError)
  await expect(startCluster({ settings: { "x = 'y'\nport": '1' } })).rejects.toThrow(
    TestClusterError,
  )
  await expect(startCluster({ replicas: 0, settings: { no_such_setting: '1' } })).rejects.toThrow(
    /no_such_setting/,
  )
})

test('each cluster is one of its own, also from a template, and a closed one refuses', async () => {
  const other = await startCluster({ replicas: 0, onProgress: () => undefined })
  const client = new Client({ connectionString: other.url('master') })
  await client.connect()
  const { rows: found } = await client.query(
    'SELECT system_identifier::text FROM pg_control_system()',
  )
  await client.end()
  expect(found).not.toEqual(
    await rows('replica1', 'SELECT system_identifier::text FROM pg_control_system()'),
  )
  await Promise.all([other.close(), other.close()])
  expect(existsSync(other.directory)).toBe(false)
  await expect(other.start('master')).rejects.toThrow(/closed/)
})
