import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterEach, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import type { PrimaryEvent } from '../../../src/cluster/events.ts'
import { EXECUTE } from '../../../src/cluster/statement.ts'
import {
  ClusterClosedError,
  NoPrimaryError,
  NoReplicaAvailableError,
  SplitBrainError,
  StaleReplicasError,
} from '../../../src/errors.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import { WHO } from '../../support/cluster.ts'
import { openFaultProxy } from '../../support/fault-proxy.ts'

/** Servers of their own for each test, since they are promoted and killed. */
const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each[Symbol.asyncDispose]()
})

const start = async (settings: object = {}) => {
  const servers = await startCluster({ replicas: 2 })
  opened.push(servers)
  const cluster = connect({ config: { ...servers.config, settings } as never })
  opened.push(cluster)
  const events: PrimaryEvent[] = []
  cluster.events.on('primary', (event) => events.push(event))
  await cluster.writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
  return { servers, cluster, events }
}

/** A write with a deadline, as models do it; it says which server it ran on. */
const insert = async (
  { servers, cluster }: { servers: TestCluster; cluster: Cluster },
  id: number,
  timeoutMs = 20_000,
): Promise<string | undefined> => {
  const { rows } = await cluster.writer[EXECUTE]<{ port: number }>(
    {
      text: 'INSERT INTO posts VALUES ($1) RETURNING inet_server_port() AS port',
      values: [id],
    },
    { timeoutMs },
  )
  return nameOf(servers, rows[0]?.port)
}
/** A primary that dies takes along what its heir has not received. */
const received = (cluster: Cluster, rows: number): Promise<void> =>
  expect
    .poll(() =>
      cluster.using('replica1', async () => {
        const { rows: found } = await cluster.reader.query('SELECT count(*)::int FROM posts')
        return found[0].count
      }),
    )
    .toBe(rows)
/** A write on a connection that is not known to be dead would be of unknown outcome. */
const noticed = (cluster: Cluster): Promise<void> =>
  expect.poll(() => cluster.writer.totalCount).toBe(0)
const nameOf = (servers: TestCluster, port: number | undefined): string | undefined =>
  Object.entries(servers.config).find(([, node]) => node.port === port)?.[0]
const rolesOf = (cluster: Cluster): Record<string, string> =>
  Object.fromEntries(cluster.status().nodes.map(({ node, role }) => [node, role]))

test('the primary dies and a replica is promoted: writes wait and go on there, reads never fail', async () => {
  const setUp = await start()
  const { servers, cluster, events } = setUp
  expect(await insert(setUp, 1)).toBe('master')
  await received(cluster, 1)
  const stop = new AbortController()
  const failures: unknown[] = []
  const reads = (async () => {
    while (!stop.signal.aborted) {
      await cluster.reader.query(WHO).catch((error: unknown) => failures.push(error))
      await sleep(5)
    }
  })()
  await servers.kill('master')
  await noticed(cluster)
  const waiting = [2, 3, 4].map((id) => insert(setUp, id))
  await expect.poll(() => events.map(({ state }) => state)).toEqual(['missing'])
  expect(cluster.status().writes).toBe('no-primary')
  await servers.promote('replica1')
  await servers.follow('replica2', 'replica1')
  expect(await Promise.all(waiting)).toEqual(['replica1', 'replica1', 'replica1'])
  expect(rolesOf(cluster)).toEqual({ master: 'replica', replica1: 'primary', replica2: 'replica' })
  expect(events.map(({ state, node }) => [state, node])).toEqual([
    ['missing', undefined],
    ['confirmed', 'replica1'],
  ])
  // What was written is read, in transactions and from replicas too.
  expect(
    await cluster.transaction(async () => (await cluster.writer.query('TABLE posts')).rows.length),
  ).toBe(4)
  await servers.follow('master', 'replica1')
  const answering = async (): Promise<string | undefined> => {
    const { rows } = await cluster.reader.query(
      `${WHO}, (SELECT count(*)::int FROM posts) AS posts`,
    )
    expect(rows[0].posts).toBe(4)
    return nameOf(servers, rows[0].port)
  }
  const seen = new Set<string | undefined>()
  await expect
    .poll(async () => seen.add(await answering()).size, { timeout: 20_000 })
    .toBeGreaterThanOrEqual(2)
  await expect
    .poll(async () => [...seen.add(await answering())].includes('master'), { timeout: 20_000 })
    .toBe(true)
  stop.abort()
  await reads
  expect(failures).toEqual([])
})

test('the primary restarts: what is sent meanwhile waits for it', async () => {
  const setUp = await start()
  const { servers, events, cluster } = setUp
  await insert(setUp, 1)
  await servers.stop('master')
  await noticed(cluster)
  const write = insert(setUp, 2)
  await expect.poll(() => events.map(({ state }) => state)).toEqual(['missing'])
  await servers.start('master')
  expect(await write).toBe('master')
  expect(cluster.status().writes).toBe('available')
  expect(events.map(({ state }) => state)).toEqual(['missing', 'confirmed'])
  expect(events[1]!.withoutMs).toBeGreaterThan(0)
})

test('without a primary a write fails in time, was not sent, and says so', async () => {
  const setUp = await start()
  const { servers, cluster } = setUp
  await insert(setUp, 1)
  await servers.kill('master')
  await noticed(cluster)
  const error = (await insert(setUp, 2, 700).catch((e: unknown) => e)) as NoPrimaryError
  expect(error).toBeInstanceOf(NoPrimaryError)
  expect(error.nodes).toEqual([
    { node: 'master', problem: 'no answer' },
    { node: 'replica1', problem: 'in recovery' },
    { node: 'replica2', problem: 'in recovery' },
  ])
  await expect(
    cluster.transaction(() => cluster.writer.query('INSERT INTO posts VALUES (3)'), {
      timeoutMs: 500,
    }),
  ).rejects.toThrow(NoPrimaryError)
  await servers.start('master')
  expect(await insert(setUp, 4)).toBe('master')
  const { rows } = await cluster.writer.query('SELECT id FROM posts ORDER BY id')
  expect(rows.map(({ id }) => id)).toEqual([1, 4])
})

test('a primary of the past that comes back gets no writes and serves no reads', async () => {
  const setUp = await start()
  const { servers, cluster } = setUp
  await insert(setUp, 1)
  await servers.kill('master')
  await noticed(cluster)
  await servers.promote('replica1')
  await servers.follow('replica2', 'replica1')
  expect(await insert(setUp, 2)).toBe('replica1')
  await cluster.reader.query(WHO)
  await servers.start('master')
  // Its claim is heard when somebody asks everybody.
  await servers.kill('replica1')
  await noticed(cluster)
  await expect(insert(setUp, 3, 1_000)).rejects.toThrow(NoPrimaryError)
  for (let turn = 0; turn < 6; turn++) {
    const { rows } = await cluster.reader.query(WHO)
    expect(nameOf(servers, rows[0].port)).toBe('replica2')
  }
  await servers.start('replica1')
  expect(await insert(setUp, 4)).toBe('replica1')
})

test('two servers accept writes: nothing is written to either, until it is mended', async () => {
  const setUp = await start()
  const { servers, cluster, events } = setUp
  await insert(setUp, 1)
  await servers.promote('replica1')
  // Whoever looks next sees both; here a new connection to the promoted one.
  await expect
    .poll(
      async () => {
        await cluster.using('replica1', () => cluster.reader.query(WHO)).catch(() => {})
        return cluster.status().writes
      },
      { timeout: 20_000 },
    )
    .toBe('split-brain')
  const error = (await insert(setUp, 2, 1_000).catch((e: unknown) => e)) as SplitBrainError
  expect(error).toBeInstanceOf(SplitBrainError)
  expect(error.nodes).toEqual(['master', 'replica1'])
  await expect(cluster.writer.query('INSERT INTO posts VALUES (3)')).rejects.toThrow(
    SplitBrainError,
  )
  expect(events.at(-1)).toMatchObject({ state: 'split-brain', claims: ['master', 'replica1'] })
  for (const name of ['master', 'replica1']) {
    const direct = connect({
      config: { master: servers.config[name], settings: { allowSameServer: true } } as never,
    })
    opened.push(direct)
    expect((await direct.writer.query('SELECT id FROM posts')).rows).toEqual([{ id: 1 }])
  }
  await servers.follow('master', 'replica1')
  expect(await insert(setUp, 4)).toBe('replica1')
})

test('of two servers that accept writes neither serves what only the primary is sure to show', async () => {
  const setUp = await start({ onHistoryLost: 'error' })
  const { servers, cluster } = setUp
  await insert(setUp, 1)
  await received(cluster, 1)
  await servers.pauseReplay('replica2')
  const token = await cluster.session(async () => {
    await insert(setUp, 2)
    return cluster.token()
  })
  await servers.promote('replica1')
  await expect
    .poll(
      async () => {
        await cluster.using('replica1', () => cluster.reader.query(WHO)).catch(() => {})
        return cluster.status().writes
      },
      { timeout: 20_000 },
    )
    .toBe('split-brain')
  const text = 'SELECT id FROM posts ORDER BY id'
  const read = (consistency: 'eventual' | 'session' | 'strong') =>
    cluster.session(async () => cluster.reader[EXECUTE]({ text }, { consistency }), { token })
  await expect(read('session')).rejects.toThrow(StaleReplicasError)
  await expect(read('strong')).rejects.toMatchObject({
    code: 'SEGREGATO_NO_REPLICA',
    nodes: expect.arrayContaining([
      { node: 'master', problem: 'not the only one that accepts writes' },
      { node: 'replica1', problem: 'is a primary, not a replica' },
    ]),
  })
  // Whoever asks for nothing of that is served; and the session is, as soon as a replica shows it.
  expect((await read('eventual')).routing).toMatchObject({ node: 'replica2' })
  await servers.resumeReplay('replica2')
  const own = async () => (await read('session').catch(() => undefined))?.rows
  await expect.poll(own).toEqual([{ id: 1 }, { id: 2 }])
})

test('two servers accept writes: what the other one has is not called lost', async () => {
  const setUp = await start()
  const { servers, cluster } = setUp
  await insert(setUp, 1)
  await received(cluster, 1)
  const tokenKeys = [{ id: 'a', secret: 'a secret of enough characters' }]
  const open = (config: object): Cluster => {
    const other = connect({ config: config as never, tokenKeys })
    opened.push(other)
    return other
  }
  const old = open(servers.config)
  await old.writer.query('SELECT 1')
  await servers.promote('replica1')
  const heir = open({ master: servers.config['replica1'], replica2: servers.config['replica2'] })
  const token = await heir.session(async () => {
    await heir.writer.query('INSERT INTO posts VALUES (2)')
    return heir.token()
  })
  expect(token).toBeDefined()
  const read = () => old.session(async () => old.reader.query('SELECT id FROM posts'), { token })
  await expect(read()).rejects.toThrow(StaleReplicasError)
  expect(old.status().counts.lostHistories).toBe(0)
  await servers.follow('master', 'replica1')
  await servers.follow('replica2', 'replica1')
  const own = async () => (await read().catch(() => undefined))?.rows
  await expect.poll(own).toEqual([{ id: 1 }, { id: 2 }])
})

test('a file whose master is a replica by now: the first write finds the primary', async () => {
  const setUp = await start()
  const { servers } = setUp
  await insert(setUp, 1)
  const { master, replica1, replica2 } = servers.config
  const late = connect({
    config: {
      master: replica1!,
      replica1: master,
      replica2: replica2!,
      // A replica needs longer on a busy machine.
      settings: { waitTimeoutMs: 10_000 },
    } as never,
  })
  opened.push(late)
  expect(await insert({ servers, cluster: late }, 2)).toBe('master')
  expect((await late.writer.query(WHO)).rows[0].replica).toBe(false)
  expect(rolesOf(late)).toEqual({ master: 'replica', replica1: 'primary', replica2: 'replica' })
  const read = await late.reader.query(WHO)
  expect(read.rows[0].replica).toBe(true)
})

test('a file whose master is a replica by now, and whose last replica is dead: no first read fails', async () => {
  const { servers, cluster } = await start()
  await cluster.writer.query('INSERT INTO posts VALUES (1)')
  await received(cluster, 1)
  const { master, replica1, replica2 } = servers.config
  await servers.kill('replica2')
  for (let process = 0; process < 5; process++) {
    const late = connect({
      config: { master: replica1!, replica1: master, replica2: replica2! } as never,
    })
    opened.push(late)
    const reads = Array.from({ length: 6 }, () => late.reader.query('SELECT id FROM posts'))
    for (const read of reads) expect((await read).rows).toEqual([{ id: 1 }])
  }
})

/** A cluster whose node of this name is reached through a proxy. */
const through = async (servers: TestCluster, name: string) => {
  const proxy = await openFaultProxy(servers.config[name]!)
  opened.push({ [Symbol.asyncDispose]: () => proxy.close() })
  const config = { ...servers.config, [name]: { ...servers.config[name]!, port: proxy.port } }
  const cluster = connect({ config: config as never })
  opened.push(cluster)
  return { cluster, proxy }
}

test('behind the address of the master another server answers: it is the primary, and no split brain', async () => {
  const { servers } = await start()
  const { cluster, proxy } = await through(servers, 'master')
  const setUp = { servers, cluster }
  expect(await insert(setUp, 1)).toBe('master')
  await received(cluster, 1)
  await servers.kill('master')
  await noticed(cluster)
  await servers.promote('replica1')
  proxy.lead(servers.config['replica1']!)
  await servers.follow('replica2', 'replica1')
  expect(await insert(setUp, 2)).toBe('replica1')
  expect(cluster.status().writes).toBe('available')
  for (let turn = 0; turn < 6; turn++) await cluster.reader.query('SELECT 1')
  expect((await cluster.reader.query('SELECT count(*)::int FROM posts')).rows[0].count).toBe(2)
})

test('an address that leads to a server which is not promoted: nothing is written to it', async () => {
  const { servers } = await start()
  const { cluster, proxy } = await through(servers, 'master')
  const setUp = { servers, cluster }
  await insert(setUp, 1)
  proxy.lead(servers.config['replica2']!)
  proxy.reset()
  // A stale proxy: the primary lives and is not to be reached.
  await noticed(cluster)
  await expect(insert(setUp, 2, 1_000)).rejects.toThrow(NoPrimaryError)
  proxy.lead(servers.config.master)
  proxy.reset()
  expect(await insert(setUp, 3)).toBe('master')
  const { rows } = await cluster.writer.query('SELECT id FROM posts ORDER BY id')
  expect(rows.map(({ id }) => id)).toEqual([1, 3])
})

test('an address of a replica that leads to another cluster serves nothing, until it leads back', async () => {
  const { servers } = await start()
  const foreign = await startCluster({ replicas: 1, password: servers.config.master.password })
  opened.push(foreign)
  const { cluster, proxy } = await through(servers, 'replica1')
  const setUp = { servers, cluster }
  await insert(setUp, 1)
  await cluster.reader.query(WHO)
  proxy.lead(foreign.config['replica1']!)
  proxy.reset()
  const answering = async (): Promise<string | undefined> =>
    nameOf(servers, (await cluster.reader.query(WHO)).rows[0].port)
  for (let turn = 0; turn < 20; turn++) expect(await answering()).not.toBe(undefined)
  await expect(cluster.using('replica1', () => cluster.reader.query('SELECT 1'))).rejects.toThrow(
    NoReplicaAvailableError,
  )
  await expect
    .poll(() => cluster.status().nodes.find(({ node }) => node === 'replica1')?.state)
    .not.toBe('healthy')
  proxy.lead(servers.config['replica1']!)
  proxy.reset()
  await expect.poll(answering, { timeout: 20_000 }).toBe('replica1')
})

test('a write that is refused by a primary which has left the configuration runs on the new one', async () => {
  const { servers, cluster } = await start()
  await cluster.writer.query(`
    CREATE FUNCTION refuse_on(old int) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN
      IF inet_server_port() = old THEN
        PERFORM pg_advisory_lock(1);
        RAISE EXCEPTION 'cannot execute INSERT in a read-only transaction' USING ERRCODE = '25006';
      END IF;
      INSERT INTO posts VALUES (1);
      RETURN inet_server_port();
    END $$`)
  await received(cluster, 0)
  const { master, replica1, replica2 } = servers.config
  const beside = new Client({ connectionString: servers.url('master') })
  await beside.connect()
  await beside.query('SELECT pg_advisory_lock(1)')
  const write = cluster.writer.query('SELECT refuse_on($1) AS port', [master.port])
  const waits = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
  await expect.poll(async () => (await beside.query(waits)).rowCount).toBe(1)
  await servers.promote('replica1')
  const reloaded = cluster.reload({ config: { master: replica1, replica2 } as never })
  await expect.poll(() => rolesOf(cluster)).toEqual({ master: 'primary', replica2: 'replica' })
  await beside.query('SELECT pg_advisory_unlock(1)')
  expect((await write).rows).toEqual([{ port: replica1!.port }])
  await reloaded
  await beside.end()
})

test('close() during a failover ends what waits', async () => {
  const setUp = await start()
  const { servers, cluster } = setUp
  await insert(setUp, 1)
  await servers.kill('master')
  await noticed(cluster)
  const waiting = insert(setUp, 2, 60_000).catch((error: unknown) => error)
  await expect.poll(() => cluster.status().writes).toBe('no-primary')
  await cluster.close({ timeoutMs: 200 })
  expect(await waiting).toBeInstanceOf(ClusterClosedError)
})
