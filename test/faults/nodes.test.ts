import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { EXECUTE } from '../../src/cluster/statement.ts'
import { StrictReadBase } from '../../src/models/strict-read-base.ts'
import { StrictWriteBase } from '../../src/models/strict-write-base.ts'
import { DeadlineExceededError, PoolExhaustedError } from '../../src/errors.ts'
import { announced, failureOf, mark, useFaults } from '../support/faults.ts'

/** The rows of the catalogue of faults: R reads, L load, C the process itself. */
const bed = useFaults({ max_standby_streaming_delay: '100ms' })

/** Reads without a break, by several at once, until it is stopped; gives what has failed. */
const underLoad = async (
  cluster: Cluster,
  change: (served: () => number, nodes: () => Set<string>) => Promise<void>,
  text = 'SELECT 1 AS one',
): Promise<unknown[]> => {
  const failures: unknown[] = []
  let served = 0
  const load = { running: true }
  let nodes = new Set<string>()
  const loops = Array.from({ length: 8 }, async () => {
    while (load.running) {
      await cluster.reader.query(text).then(
        ({ routing }) => {
          served++
          nodes.add(routing.node)
        },
        (error: unknown) => failures.push(error),
      )
    }
  })
  try {
    await change(
      () => served,
      () => {
        const seen = nodes
        nodes = new Set()
        return seen
      },
    )
  } finally {
    load.running = false
    await Promise.all(loops)
  }
  return failures
}

const serves = (nodes: () => Set<string>, name: string) =>
  expect.poll(() => nodes().has(name), { timeout: 30_000 }).toBe(true)

for (const [how, end] of [
  ['all its processes are killed', () => bed.servers.kill('replica1')],
  ['it is stopped', () => bed.servers.stop('replica1')],
  ['it is shut down at once', async () => void process.kill(bed.postmaster('replica1'), 'SIGQUIT')],
] as const) {
  test(`R1: a replica is gone, ${how}: no read fails, and it comes back`, async () => {
    const cluster = bed.open()
    const failures = await underLoad(cluster, async (served, nodes) => {
      await serves(nodes, 'replica1')
      await end()
      const before = served()
      await expect.poll(served, { timeout: 30_000 }).toBeGreaterThan(before + 200)
      await bed.servers.stop('replica1')
      await bed.servers.start('replica1')
      await serves(nodes, 'replica1')
    })
    expect(failures).toEqual([])
  })
}

class PostQuery extends StrictReadBase {
  static override tableName = 'posts'
  static override columns = { id: 'number' } as const
  declare id: number
}

test('R2: a frozen replica costs each reader an attempt at most; it comes back', async () => {
  const cluster = bed.open()
  const failures = await underLoad(cluster, async (served, nodes) => {
    await serves(nodes, 'replica1')
    await bed.servers.freeze('replica1')
    const before = served()
    await expect.poll(served, { timeout: 30_000 }).toBeGreaterThan(before + 500)
    await bed.servers.thaw('replica1')
    await serves(nodes, 'replica1')
  })
  expect(failures).toEqual([])
})

test('R2: of models too; and where the postmaster alone stands still, old connections go on', async () => {
  const cluster = bed.open()
  class Query extends PostQuery {
    static override cluster = cluster
  }
  await Promise.all([1, 2, 3, 4].map(() => Query.count()))
  await bed.servers.freeze('replica1')
  expect(await Promise.all([1, 2, 3, 4].map(() => Query.count()))).toEqual([0, 0, 0, 0])
  await bed.servers.thaw('replica1')
  const fresh = bed.open()
  const postmaster = bed.postmaster('replica1')
  const held = await fresh.using('replica1', () => fresh.reader.connect())
  process.kill(postmaster, 'SIGSTOP')
  const others = await Promise.all([1, 2, 3, 4].map(() => fresh.reader.query('SELECT 1')))
  expect(new Set(others.map(({ routing }) => routing.node))).toEqual(new Set(['replica2']))
  expect((await held.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  process.kill(postmaster, 'SIGCONT')
  held.release()
})

for (const kind of ['blackHole', 'halfOpen'] as const) {
  test(`R3: ${kind}: what is under way and what comes later goes elsewhere`, async () => {
    const cluster = bed.open({}, {}, ['replica1'])
    await Promise.all([1, 2, 3, 4].map(() => cluster.reader.query('SELECT 1')))
    const marked = mark()
    bed.proxies.replica1.swallow(marked)
    const under = cluster.using('replica', () => cluster.reader.query(`SELECT 1 ${marked}`))
    await sleep(0)
    if (kind === 'halfOpen') bed.proxies.replica1.halfOpen()
    bed.proxies.replica1.blackHole()
    const later = await Promise.all([1, 2, 3, 4].map(() => cluster.reader.query('SELECT 1')))
    expect((await under).routing.node).toBe('replica2')
    expect(new Set(later.map(({ routing }) => routing.node))).toEqual(new Set(['replica2']))
  })
}

test('a slow query is not a dead node: it is run once, and where it was begun', async () => {
  const cluster = bed.open()
  const seen = announced(cluster)
  const marked = mark()
  const { routing } = await cluster.reader.query(`SELECT pg_sleep(3) ${marked}`)
  expect(bed.runs(marked)).toEqual({ master: 0, replica1: 0, replica2: 0, [routing.node]: 1 })
  expect(routing.reason).toBe('balanced')
  expect(seen).toEqual([])
})

test('R4: a slow replica is used and not announced, again and again', async () => {
  const cluster = bed.open({}, {}, ['replica1'])
  const seen = announced(cluster)
  await Promise.all([1, 2, 3, 4].map(() => cluster.reader.query('SELECT 1')))
  bed.proxies.replica1.delay(200)
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => cluster.reader.query('SELECT 1')),
  )
  expect(new Set(answers.map(({ routing }) => routing.node))).toEqual(
    new Set(['replica1', 'replica2']),
  )
  expect(seen).toEqual([])
})

for (const [what, lag, catchUp] of [
  [
    'R5: a replica that lags',
    () => bed.servers.setApplyDelay('replica1', 2_000),
    () => bed.servers.setApplyDelay('replica1', 0),
  ],
  [
    'R6: a replica whose replay is paused',
    () => bed.servers.pauseReplay('replica1'),
    () => bed.servers.resumeReplay('replica1'),
  ],
] as const) {
  test(`${what} never serves a session that has written more`, async () => {
    const cluster = bed.open({ settings: { consistency: 'session' } })
    await lag()
    for (let id = 100; id < 130; id++) {
      await cluster.session(async () => {
        await cluster.writer.query('INSERT INTO posts VALUES ($1)', [id])
        const { rows, routing } = await cluster.reader.query('SELECT FROM posts WHERE id = $1', [
          id,
        ])
        expect([rows.length, routing.node]).toEqual([1, expect.not.stringMatching('replica1')])
      })
    }
    await catchUp()
    await bed.on('master', 'TRUNCATE posts')
    await bed.replicated()
  })
}

test('R7: conflicts with replay reach no caller', async () => {
  await bed.on('master', 'CREATE TABLE contested AS SELECT 1 AS id')
  await bed.replicated()
  const cluster = bed.open()
  const seen = announced(cluster)
  const text = 'SELECT count(*), pg_sleep(0.3) FROM contested'
  const failures = await underLoad(
    cluster,
    async () => {
      for (let turn = 0; turn < 4; turn++) {
        await bed.on('master', 'TRUNCATE contested')
        // More of them, and the retries would be a storm of their own: see L4.
        await sleep(800)
      }
    },
    text,
  )
  expect(failures).toEqual([])
  expect(seen).toEqual([])
})

test('L1: no more wait than may, the rest is turned away at once, and the nodes are well', async () => {
  const small = { pool: 1, queue: 3 }
  const cluster = bed.open({ replica1: small, replica2: small })
  const seen = announced(cluster)
  const outcomes = Promise.allSettled(
    Array.from({ length: 30 }, () => cluster.reader.query('SELECT pg_sleep(0.5)')),
  )
  await expect.poll(() => cluster.reader.waitingCount).toBeGreaterThan(0)
  expect(cluster.reader.waitingCount).toBeLessThanOrEqual(6)
  const failed = (await outcomes).filter((outcome) => outcome.status === 'rejected')
  expect(failed).toHaveLength(30 - 8)
  for (const { reason } of failed) expect(reason).toBeInstanceOf(PoolExhaustedError)
  expect(bed.runs('pg_sleep(0.5)').master).toBe(0)
  expect(seen).toEqual([])
})

test('L2: a storm on servers with room for three connections each: every read is served', async () => {
  await bed.on('master', "CREATE ROLE three LOGIN PASSWORD 'three' CONNECTION LIMIT 3")
  await bed.replicated()
  const three = { username: 'three', password: 'three', pool: 10 }
  const cluster = bed.open({ replica1: three, replica2: three })
  const reads = Array.from({ length: 60 }, () => cluster.reader.query('SELECT pg_sleep(0.01)'))
  expect((await Promise.allSettled(reads)).filter(({ status }) => status === 'rejected')).toEqual(
    [],
  )
})

test('L3: after the loss of a node no server gets more connections than the pool has', async () => {
  const cluster = bed.open()
  await underLoad(cluster, async (_, nodes) => {
    await serves(nodes, 'replica1')
    await bed.servers.kill('replica1')
    await bed.servers.start('replica1')
    await serves(nodes, 'replica1')
    const mine =
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'segregato'"
    for (const server of ['replica1', 'replica2', 'master'] as const)
      expect((await bed.on(server, mine))[0]!['n']).toBeLessThanOrEqual(10)
  })
})

test('L4: where all reads fail, retries are a tenth of them beyond one burst; where all are slow, none', async () => {
  const cluster = bed.open({}, {}, ['master', 'replica1', 'replica2'])
  const marked = mark()
  for (const proxy of Object.values(bed.proxies)) proxy.resetAt(marked)
  const [calls, atOnce] = [300, 4]
  const startedAt = performance.now()
  let left = calls
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) await failureOf(cluster.reader.query(`SELECT 1 ${marked}`))
    }),
  )
  const seconds = (performance.now() - startedAt) / 1_000
  const sent = Object.values(bed.proxies).reduce((sum, proxy) => sum + proxy.sent(marked), 0)
  expect(sent).toBeLessThanOrEqual(calls + Math.max(calls * 0.1, 10 * seconds) + 10 + atOnce)
  const slow = mark()
  const late = await Promise.allSettled(
    Array.from({ length: 20 }, () =>
      cluster.reader[EXECUTE]({ text: `SELECT pg_sleep(30) ${slow}` }, { timeoutMs: 1_500 }),
    ),
  )
  expect(late.every(({ status }) => status === 'rejected')).toBe(true)
  expect(Object.values(bed.runs(slow)).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(
    20,
  )
})

test('C6: when this process stands still, no node is blamed for it', async () => {
  const short = { connectTimeoutMs: 500 }
  const cluster = bed.open({ master: short, replica1: short, replica2: short })
  const seen = announced(cluster)
  for (let turn = 0; turn < 3; turn++) {
    const reads = Array.from({ length: 6 }, () => cluster.reader.query('SELECT pg_sleep(0.6)'))
    await sleep(450)
    const until = performance.now() + 1_000
    while (performance.now() < until);
    await Promise.all(reads)
  }
  expect(seen).toEqual([])
})

test('C8: connections that end, idle, lent and in transactions, never end the process', async () => {
  const cluster = bed.open()
  const lent = [await cluster.reader.connect(), await cluster.writer.connect()]
  await lent[1]!.query('BEGIN')
  await Promise.all([1, 2, 3].map(() => cluster.reader.query('SELECT pg_sleep(0.05)')))
  const all =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'segregato%'"
  for (const server of ['master', 'replica1', 'replica2'] as const) await bed.on(server, all)
  for (const client of lent) {
    await failureOf(client.query('SELECT 1'))
    client.release()
  }
  await expect
    .poll(() => cluster.reader.query('SELECT 1 AS one').then(({ rows }) => rows))
    .toEqual([{ one: 1 }])
})

class PostCommand extends StrictWriteBase {
  static override tableName = 'posts'
  static override columns = { id: 'number' } as const
  declare id: number
}

test('calls of models end by themselves, those of pools, streams and scopes do not', async () => {
  const cluster = bed.open({ settings: { readTimeoutMs: 700, writeTimeoutMs: 900 } })
  class Query extends PostQuery {
    static override cluster = cluster
  }
  class Command extends PostCommand {
    static override cluster = cluster
  }
  const slow = 'pg_sleep(1.2)'
  await expect(Query.sql`select pg_sleep(30)`).rejects.toMatchObject({
    timeoutMs: expect.any(Number),
  })
  expect(await Query.with({ timeoutMs: 30_000 }).sql`select pg_sleep(1)`).toHaveLength(1)
  const holder = await bed.client('master')
  await holder.query('BEGIN; LOCK TABLE posts')
  expect(await failureOf(Command.create({ id: 500 }))).toBeInstanceOf(DeadlineExceededError)
  await holder.query('ROLLBACK')
  await holder.end()
  expect((await cluster.reader.query(`SELECT ${slow}`)).rowCount).toBe(1)
  expect((await cluster.writer.query(`SELECT ${slow}`)).rowCount).toBe(1)
  await cluster.transaction(async () => {
    expect(await Query.sql`select pg_sleep(1)`).toHaveLength(1)
  })
  const aborted = AbortSignal.abort(new Error('not any more'))
  await expect(Query.with({ signal: aborted }).count()).rejects.toThrow('not any more')
})
