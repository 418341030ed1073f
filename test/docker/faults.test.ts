/** What callers of the library see while containers fail; who answered is asked from the servers. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { QueryResultRow } from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Cluster, ConnectOptions } from '../../src/cluster/cluster.ts'
import { connect } from '../../src/cluster/connect.ts'
import { ClusterVerificationError } from '../../src/errors.ts'
import { StrictReadBase } from '../../src/models/strict-read-base.ts'
import { StrictWriteBase } from '../../src/models/strict-write-base.ts'
import type { Containers, ServerName } from '../support/docker.ts'
import { startContainers } from '../support/docker.ts'

const WHO = 'SELECT inet_server_port() AS port'

let servers: Containers
const opened: Cluster[] = []

beforeAll(async () => {
  // Four segments: enough for two replicas that are copied at once, soon outrun by a test.
  servers = await startContainers({ max_slot_wal_keep_size: '64MB', wal_keep_size: '0' })
  await ask('master', 'CREATE TABLE notes (id serial PRIMARY KEY, body text NOT NULL)')
})
beforeEach(async () => {
  await Promise.all(opened.splice(0).map((cluster) => cluster.close({ timeoutMs: 1_000 })))
})
afterAll(async () => {
  await Promise.all(opened.map((cluster) => cluster.close({ timeoutMs: 1_000 })))
  await servers?.close()
})

/** Asks one server, past the library. */
const ask = async <Row extends QueryResultRow>(name: ServerName, text: string): Promise<Row[]> => {
  const { username: user, pool: _, ...address } = servers.config[name]!
  const client = new Client({ ...address, user, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

const open = (config: ConnectOptions['config'] = servers.config): Cluster => {
  const cluster = connect({ config })
  opened.push(cluster)
  return cluster
}

const nodesOf = (cluster: Cluster) => {
  class NoteCommand extends StrictWriteBase {
    static override tableName = 'notes'
    static override cluster = cluster
    declare id: number
    declare body: string
  }
  class NoteQuery extends StrictReadBase {
    static override tableName = 'notes'
    static override cluster = cluster
    declare id: number
    declare body: string
  }
  return { NoteCommand, NoteQuery }
}

/** The names of the servers that answered `count` reads, one after the other. */
const answering = async (cluster: Cluster, count: number): Promise<Set<string>> => {
  const names = new Set<string>()
  for (let turn = 0; turn < count; turn++) {
    const { rows } = await cluster.reader.query<{ port: number }>(WHO)
    const node = Object.entries(servers.config).find(([, { port }]) => port === rows[0]?.port)
    names.add(node?.[0] ?? 'unknown')
  }
  return names
}

/** Whether a note could be written now. */
const written = (cluster: Cluster, body: string): Promise<boolean> =>
  nodesOf(cluster)
    .NoteCommand.create({ body })
    .then(
      () => true,
      () => false,
    )

const both = new Set(['replica1', 'replica2'])

/** What a server shows of the notes; `undefined` while it does not answer. */
const bodies = (name: ServerName): Promise<string[] | undefined> =>
  ask<{ body: string }>(name, 'SELECT body FROM notes ORDER BY id').then(
    (rows) => rows.map(({ body }) => body),
    () => undefined,
  )

const eventually = <T>(look: () => Promise<T>) =>
  expect.poll(look, { timeout: 45_000, interval: 100 })

/** Waits until these replicas show what the primary has. */
const following = async (...names: readonly ServerName[]): Promise<void> => {
  const wanted = await bodies('master')
  expect(wanted).toBeDefined()
  for (const name of names) await eventually(() => bodies(name)).toEqual(wanted)
}

/** How often the replica has been made from its primary. */
const copies = async (name: ServerName): Promise<number> =>
  (await servers.output(name)).split('server.sh: copying the primary').length - 1

/** Writes log until the primary has removed what an absent replica needs. */
const outrun = (slot: string) =>
  eventually(async () => {
    await ask('master', 'SELECT pg_logical_emit_message(true, $$x$$, $$x$$), pg_switch_wal()')
    await ask('master', 'CHECKPOINT')
    const rows = await ask<{ wal_status: string }>(
      'master',
      `SELECT wal_status FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    )
    return rows[0]?.wal_status
  }).toBe('lost')

test('the servers are what the configuration says', async () => {
  const cluster = open()
  await following('replica1', 'replica2')
  expect(await cluster.verify()).toMatchObject([
    { node: 'master', inRecovery: false },
    { node: 'replica1', inRecovery: true },
    { node: 'replica2', inRecovery: true },
  ])
  await eventually(() => answering(cluster, 4)).toEqual(both)
})

test('a paused replica: reads move to the other one, and come back', async () => {
  const { master, ...replicas } = servers.config
  const impatient = Object.entries(replicas).map(([name, node]) => [
    name,
    { ...node, connectTimeoutMs: 500 },
  ])
  const cluster = open({ master, ...Object.fromEntries(impatient) } as ConnectOptions['config'])
  await servers.pause('replica1')
  try {
    expect(await answering(cluster, 8)).toEqual(new Set(['replica2']))
  } finally {
    await servers.unpause('replica1')
  }
  await eventually(() => answering(cluster, 4)).toEqual(both)
})

test('a replica cut from its primary answers its clients; maxLagMs keeps reads off it', async () => {
  const cluster = open()
  const { NoteCommand, NoteQuery } = nodesOf(cluster)
  await NoteCommand.create({ body: 'before' })
  await following('replica1', 'replica2')
  await servers.cut('replica1')
  try {
    await NoteCommand.create({ body: 'during' })
    await following('replica2')
    // The partition is real: the replica is reached, and has not the row.
    expect(await bodies('replica1')).not.toContain('during')
    expect(
      await cluster.using('replica1', async () => NoteQuery.where({ body: 'during' }).count()),
    ).toBe(0)

    // Until the replica is further behind than the limit.
    await sleep(1_000)
    await NoteCommand.create({ body: 'later' })
    await following('replica2')
    for (let turn = 0; turn < 6; turn++)
      expect(await NoteQuery.where({ body: 'during' }).with({ maxLagMs: 900 }).count()).toBe(1)
    await eventually(async () =>
      ask('master', "SELECT FROM pg_stat_replication WHERE application_name = 'replica1'"),
    ).toEqual([])
  } finally {
    await servers.mend('replica1')
  }
  await following('replica1')
  await eventually(() => answering(cluster, 4)).toEqual(both)
})

test('a killed replica: no caller sees an error, and it comes back and catches up', async () => {
  const cluster = open()
  const { NoteCommand } = nodesOf(cluster)
  await eventually(() => answering(cluster, 4)).toEqual(both)
  const reads = Promise.all(Array.from({ length: 5 }, () => answering(cluster, 40)))
  const before = await copies('replica2')
  await servers.kill('replica2')
  await reads
  expect(await answering(cluster, 8)).toEqual(new Set(['replica1']))
  await NoteCommand.create({ body: 'while replica2 was dead' })
  await servers.start('replica2')
  await following('replica2')
  expect(await copies('replica2')).toBe(before)
  await eventually(() => answering(cluster, 4)).toEqual(both)
})

test('a killed primary: reads go on, writes fail and work again when it is back', async () => {
  const cluster = open()
  const { NoteCommand, NoteQuery } = nodesOf(cluster)
  await NoteCommand.create({ body: 'kept' })
  await following('replica1', 'replica2')
  await servers.kill('master')
  await expect(NoteCommand.create({ body: 'refused' })).rejects.toThrow()
  expect(await NoteQuery.where({ body: 'kept' }).count()).toBe(1)
  expect(await answering(cluster, 8)).toEqual(both)
  await servers.start('master')
  await eventually(() => written(cluster, 'back')).toBe(true)
  await following('replica1', 'replica2')
  expect(await bodies('replica1')).not.toContain('refused')
})

test.each(['replica2', 'master'] as const)(
  'a crash: %s is started again by itself, and all of it is there',
  async (name) => {
    const cluster = open()
    await nodesOf(cluster).NoteCommand.create({ body: `before the crash of ${name}` })
    await following('replica1', 'replica2')
    const started = (): Promise<unknown> =>
      ask(name, 'SELECT pg_postmaster_start_time()::text AS at').catch(() => undefined)
    const [before, copied] = [await started(), await copies('replica2')]
    await servers.crash(name)
    await eventually(async () => {
      const now = await started()
      return now !== undefined && JSON.stringify(now) !== JSON.stringify(before)
    }).toBe(true)
    await eventually(() => written(cluster, `after the crash of ${name}`)).toBe(true)
    await following('replica1', 'replica2')
    expect(await bodies('replica2')).toContain(`before the crash of ${name}`)
    expect(await copies('replica2')).toBe(copied)
    await eventually(() => answering(cluster, 4)).toEqual(both)
  },
)

test('a replica whose log the primary has removed copies the primary again by itself', async () => {
  const before = await copies('replica2')
  await servers.cut('replica2')
  await eventually(async () =>
    ask(
      'master',
      "SELECT FROM pg_replication_slots WHERE slot_name = 'segregato_replica2' AND active",
    ),
  ).toEqual([])
  await ask('master', "INSERT INTO notes (body) VALUES ('missed')")
  await outrun('segregato_replica2')
  await servers.mend('replica2')
  await following('replica2')
  expect(await servers.output('replica2')).toContain('the primary has removed log')
  expect(await copies('replica2')).toBe(before + 1)
  expect(await ask('replica2', 'SELECT pg_is_in_recovery() AS replica')).toEqual([
    { replica: true },
  ])
})

test('writes follow a promoted replica; verify() names who is missing or promoted; a new configuration fits', async () => {
  const cluster = open()
  await following('replica1', 'replica2')
  await servers.kill('master')
  await ask(
    'replica1',
    "SELECT pg_promote(), pg_create_physical_replication_slot('segregato_replica2', true)",
  )
  await eventually(() => written(cluster, 'followed')).toBe(true)
  expect(await bodies('replica1')).toContain('followed')
  const error: unknown = await cluster.verify().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ClusterVerificationError)
  const { problems } = error as ClusterVerificationError
  // Both are not what the file says they are: the one is gone, the other accepts writes.
  expect(problems).toMatchObject([
    { node: 'master', problem: expect.stringContaining('cannot be asked') as string },
    { node: 'replica1', problem: expect.stringContaining('not in recovery') as string },
  ])

  const [row] = await ask<{ conninfo: string }>(
    'replica2',
    "SELECT current_setting('primary_conninfo') AS conninfo",
  )
  const conninfo = row!.conninfo
    .replace(/\bhost=\S+/, 'host=replica1')
    .replace(/\bport=\S+/, `port=${servers.config['replica1']!.port}`)
  await ask('replica2', `ALTER SYSTEM SET primary_conninfo = $x$${conninfo}$x$`)
  await ask('replica2', 'SELECT pg_reload_conf()')

  const moved = open({
    master: servers.config['replica1']!,
    replica1: servers.config['replica2']!,
  })
  await moved.verify()
  const { NoteCommand, NoteQuery } = nodesOf(moved)
  await NoteCommand.create({ body: 'on the new primary' })
  expect(await bodies('replica1')).toContain('on the new primary')
  await eventually(() => NoteQuery.where({ body: 'on the new primary' }).count()).toBe(1)
  expect(await answering(moved, 4)).toEqual(new Set(['replica2']))

  // A restart leaves both what they are now.
  for (const name of ['replica1', 'replica2'] as const) {
    await servers.kill(name)
    await servers.start(name)
  }
  await eventually(() => bodies('replica2')).toContain('on the new primary')
  await eventually(() => written(moved, 'after the restart')).toBe(true)
  await eventually(() => bodies('replica2')).toContain('after the restart')
})
