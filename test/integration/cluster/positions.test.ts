import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Cluster, ConnectOptions } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import { parseLsn } from '../../../src/nodes/position.ts'
import type { Lsn } from '../../../src/nodes/position.ts'
import { readToken } from '../../../src/routing/token.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'

/** Servers of its own: their WAL is brought to certain places, and their replay is late. */
let servers: TestCluster
let admin: pg.Client
const opened: Cluster[] = []
const KEYS = [{ id: 'k1', secret: 'a secret of the tests' }]
const REPLICAS = ['replica1', 'replica2']
const ASYNCHRONOUS = { variables: { synchronous_commit: 'off' } }

beforeAll(async () => {
  servers = await startCluster({
    replicas: 2,
    settings: { log_statement: 'all', max_prepared_transactions: '5', autovacuum: 'off' },
  })
  admin = new pg.Client(servers.url('master'))
  await admin.connect()
  await admin.query(`
    CREATE TABLE posts (id int PRIMARY KEY);
    CREATE TABLE bulk (text text);
    CREATE FUNCTION add(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO posts VALUES (n) RETURNING id';
    CREATE FUNCTION quietly() RETURNS text LANGUAGE sql
      AS $$SELECT set_config('synchronous_commit', 'off', true)$$;
    CREATE PROCEDURE put(n int) LANGUAGE sql AS 'INSERT INTO posts VALUES (n)';
    CREATE ROLE quiet SUPERUSER LOGIN PASSWORD 'quiet';
    ALTER ROLE quiet SET synchronous_commit = off`)
})
/** What one test asks the servers must not be counted by another. */
afterEach(async () => {
  await Promise.all(opened.splice(0).map((cluster) => cluster.close({ timeoutMs: 1_000 })))
})
afterAll(async () => {
  await admin?.end()
  await servers?.close()
})
beforeEach(async () => {
  await admin.query('TRUNCATE posts, bulk')
})

/** What a read waits for must come: nobody gives up in these tests. */
const open = (node: object = {}, options: Omit<ConnectOptions, 'config'> = {}): Cluster => {
  const nodes = Object.fromEntries(
    Object.entries(servers.config).map(([name, config]) => [name, { ...config, ...node }]),
  )
  const settings = { waitTimeoutMs: 120_000 }
  const cluster = connect({
    tokenKeys: KEYS,
    ...options,
    config: { ...nodes, settings } as never,
  })
  opened.push(cluster)
  return cluster
}

/** The position that a session has after its work. */
const positionAfter = (cluster: Cluster, work: () => Promise<unknown>): Promise<Lsn> =>
  cluster.session(async () => {
    await work()
    return readToken(await cluster.token(), KEYS)!.position.lsn
  })

const lsnOf = async (name: 'insert' | 'flush'): Promise<Lsn> => {
  const { rows } = await admin.query(`SELECT pg_current_wal_${name}_lsn() AS lsn`)
  return parseLsn(rows[0].lsn)!
}

const PAGE = 8192n

/** Writes one record of the log that ends `beyond` bytes behind the start of the next page's data. */
const endAtPage = async (
  write: (bytes: number) => Promise<unknown>,
  reached: (lsn: Lsn) => boolean,
  beyond: bigint,
): Promise<unknown> => {
  const filler = 1_000
  for (;;) {
    // How much a record of this length takes, on one page.
    const before = await lsnOf('insert')
    await emit(filler)
    const after = await lsnOf('insert')
    const rest = PAGE - (after % PAGE) + beyond
    const length = filler + Number(rest - (after - before))
    if (after / PAGE !== before / PAGE || length < 300) continue
    const result = await write(length)
    // Something of the server's own may have come between.
    if (reached(await lsnOf('insert'))) return result
  }
}
const MESSAGE = "SELECT pg_logical_emit_message(false, 'test', repeat('x', $1))"
const emit = (bytes: number): Promise<unknown> => admin.query(MESSAGE, [bytes])
const isReplica = async (cluster: Cluster): Promise<boolean> =>
  (await cluster.reader.query('SELECT pg_is_in_recovery() AS replica')).rows[0].replica

test('a record that ends with its page: the header of the next page is not waited for', async () => {
  const cluster = open(ASYNCHRONOUS)
  await cluster.session(async () => {
    const position = await endAtPage(
      (bytes) => positionAfter(cluster, () => cluster.writer.query(MESSAGE, [bytes])),
      (lsn) => lsn % PAGE === 24n,
      0n,
    )
    expect((position as Lsn) % PAGE).toBe(0n)
    expect(await isReplica(cluster)).toBe(true)
  })
})

test('the start of a segment: its longer header is not waited for', async () => {
  const cluster = open(ASYNCHRONOUS)
  const { rows } = await admin.query(
    "SELECT pg_size_bytes(current_setting('wal_segment_size')) AS n",
  )
  const segment = BigInt(rows[0].n)
  for (;;) {
    const position = await positionAfter(cluster, async () => {
      await emit(100)
      await cluster.writer.query('SELECT pg_switch_wal()')
    })
    if ((await lsnOf('insert')) % segment !== 40n) continue
    expect(position % segment).toBe(0n)
    break
  }
  expect(await isReplica(cluster)).toBe(true)
})

test('a record that really ends 40 bytes into a page: they are waited for', async () => {
  const cluster = open(ASYNCHRONOUS)
  const position = await endAtPage(
    (bytes) => positionAfter(cluster, () => cluster.writer.query(MESSAGE, [bytes])),
    (lsn) => lsn % PAGE === 40n,
    16n,
  )
  expect((position as Lsn) % PAGE).toBe(40n)
  expect(await isReplica(cluster)).toBe(true)
})

/** What is not flushed by a commit stays unflushed while the log's writer stands still. */
const withoutWalWriter = async <T>(work: () => Promise<T>): Promise<T> => {
  const { rows } = await admin.query(
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'",
  )
  stopped = rows[0].pid as number
  process.kill(stopped, 'SIGSTOP')
  try {
    return await work()
  } finally {
    process.kill(stopped, 'SIGCONT')
    stopped = undefined
  }
}
let stopped: number | undefined
afterEach(() => {
  if (stopped !== undefined) process.kill(stopped, 'SIGCONT')
})

test('another transaction that writes and does not commit is not waited for', async () => {
  const cluster = open()
  const bulk = new pg.Client(servers.url('master'))
  await bulk.connect()
  await withoutWalWriter(async () => {
    await bulk.query('BEGIN')
    const done = new AbortController()
    const load = (async () => {
      while (!done.signal.aborted) {
        await bulk.query("INSERT INTO bulk SELECT repeat('x', 1000) FROM generate_series(1, 20)")
      }
    })()
    for (let id = 0; id < 50; id++) {
      const position = await positionAfter(cluster, () =>
        cluster.writer.query('INSERT INTO posts VALUES ($1)', [id]),
      )
      expect(position <= (await lsnOf('flush'))).toBe(true)
    }
    done.abort()
    await load
    // The difference was there.
    expect((await lsnOf('insert')) > (await lsnOf('flush'))).toBe(true)
    await bulk.query('ROLLBACK')
  })
  await bulk.end()
})

const QUIET = { username: 'quiet', password: 'quiet' }
const add = (cluster: Cluster): Promise<unknown> =>
  cluster.writer.query('INSERT INTO posts VALUES (1)')
const asynchronous: Record<
  string,
  { node?: object; write: (cluster: Cluster) => Promise<unknown> }
> = {
  'by the role': { node: QUIET, write: add },
  'by a start-up parameter': { node: ASYNCHRONOUS, write: add },
  'SET LOCAL in a transaction': {
    write: (cluster) =>
      cluster.transaction(async () => {
        await cluster.writer.query('SET LOCAL synchronous_commit = off')
        await add(cluster)
      }),
  },
  'set in a function in a transaction': {
    write: (cluster) =>
      cluster.transaction(async () => {
        await cluster.writer.query('SELECT quietly()')
        await add(cluster)
      }),
  },
  'set in a function by a client of its own': {
    write: async (cluster) => {
      const client = await cluster.writer.connect()
      await client.query('BEGIN')
      await client.query('SELECT quietly()')
      await client.query('INSERT INTO posts VALUES (1)')
      await client.query('COMMIT')
      client.release()
    },
  },
  'set_config by a parameter in one statement': {
    write: (cluster) =>
      cluster.writer.query(
        'WITH quiet AS (SELECT set_config($1, $2, true) AS set) INSERT INTO posts SELECT 1 FROM quiet WHERE set = $2',
        ['synchronous_commit', 'off'],
      ),
  },
  'in one text of several statements': {
    write: (cluster) =>
      cluster.writer.query(
        'BEGIN; SET LOCAL synchronous_commit = off; INSERT INTO posts VALUES (1); COMMIT',
      ),
  },
}

test.each(Object.entries(asynchronous))(
  'synchronous_commit = off %s: the position is behind what is not flushed',
  async (_, { node = {}, write }) => {
    const cluster = open(node)
    await withoutWalWriter(async () => {
      const before = await lsnOf('insert')
      const position = await positionAfter(cluster, () => write(cluster))
      expect(position > (await lsnOf('flush'))).toBe(true)
      expect(position > before).toBe(true)
    })
    expect((await cluster.reader.query('SELECT id FROM posts')).rows).toEqual([{ id: 1 }])
  },
)

/** How many questions about positions a server has got. */
const questions = (server: string): number =>
  readdirSync(servers.directory)
    .filter((name) => name.startsWith(server) && name.endsWith('.log'))
    .flatMap((name) => readFileSync(join(servers.directory, name), 'utf8').split('\n'))
    .filter((line) => /pg_current_wal_|pg_last_wal_/.test(line) && !/AS lsn|r\.rec/.test(line))
    .length

const nothing: Record<string, (cluster: Cluster) => Promise<unknown>> = {
  'a transaction of reads': (cluster) =>
    cluster.transaction(() => cluster.writer.query('SELECT count(*) FROM posts')),
  'a read-only transaction': (cluster) =>
    cluster.transaction(() => cluster.writer.query('SELECT now()'), { readOnly: true }),
  'a transaction that is rolled back': (cluster) =>
    cluster
      .transaction(async () => {
        await cluster.writer.query('INSERT INTO posts VALUES (1)')
        throw new Error('no')
      })
      .catch(() => undefined),
  'a plain read of the primary': (cluster) => cluster.writer.query('SELECT id FROM posts'),
}

test.each(Object.entries(nothing))('%s has no position: nothing is asked', async (_, work) => {
  const cluster = open()
  await cluster.writer.query('SELECT')
  const before = ['master', ...REPLICAS].map(questions)
  await work(cluster)
  await cluster.reader.query('SELECT')
  // What a replica has logged when it answered is all that there will be.
  expect(['master', ...REPLICAS].map(questions)).toEqual(before)
  // And it would be seen.
  await cluster.writer.query('INSERT INTO posts VALUES (1)')
  await cluster.reader.query('SELECT')
  expect(questions('master')).toBeGreaterThan(before[0]!)
})

const writes: Record<string, (cluster: Cluster) => Promise<unknown>> = {
  'an INSERT': (cluster) => cluster.writer.query('INSERT INTO posts VALUES (1)'),
  'several statements in one text': (cluster) =>
    cluster.writer.query('INSERT INTO posts VALUES (1); SELECT 1'),
  'a transaction in one text': (cluster) =>
    cluster.writer.query('BEGIN; INSERT INTO posts VALUES (1); COMMIT'),
  'a COPY': (cluster) => cluster.writer.query("COPY posts FROM PROGRAM 'echo 1'"),
  'a function': (cluster) => cluster.writer.query('SELECT add(1)'),
  'a function by a prepared name': (cluster) =>
    cluster.writer.query({ name: 'add', text: 'SELECT add($1)', values: [1] }),
  'a procedure': (cluster) => cluster.writer.query('CALL put(1)'),
  'a DO block': (cluster) =>
    cluster.writer.query('DO $$ BEGIN INSERT INTO posts VALUES (1); END $$'),
  'a statement with WITH': (cluster) =>
    cluster.writer.query(
      'WITH new AS (INSERT INTO posts VALUES (1) RETURNING id) SELECT id FROM new',
    ),
  'a query object': (cluster) =>
    new Promise((resolve, reject) => {
      const query = new pg.Query('INSERT INTO posts VALUES (1)')
      query.on('end', resolve)
      query.on('error', reject)
      cluster.writer.query(query)
    }),
  'a transaction()': (cluster) =>
    cluster.transaction(() => cluster.writer.query('INSERT INTO posts VALUES (1)')),
  'COMMIT AND CHAIN': async (cluster) => {
    const client = await cluster.writer.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO posts VALUES (1)')
    await client.query('COMMIT AND CHAIN')
    await client.query('COMMIT')
    client.release()
  },
  'COMMIT PREPARED': async (cluster) => {
    const client = await cluster.writer.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO posts VALUES (1)')
    await client.query("PREPARE TRANSACTION 'test'")
    client.release()
    await cluster.reader.query('SELECT')
    await cluster.writer.query("COMMIT PREPARED 'test'")
  },
}

test.each(Object.entries(writes))(
  '%s is read back from a replica that is late',
  async (_, write) => {
    const cluster = open()
    await cluster.reader.query('SELECT')
    for (const name of REPLICAS) await servers.setApplyDelay(name, 300)
    try {
      await write(cluster)
      const result = await cluster.reader.query(
        'SELECT id, pg_is_in_recovery() AS replica FROM posts',
      )
      expect(result.rows).toEqual([{ id: 1, replica: true }])
    } finally {
      for (const name of REPLICAS) await servers.setApplyDelay(name, 0)
    }
  },
)

test('10,000 sessions that wait cost one poll per replica', async () => {
  // They all go on at once, and the last ones wait for a connection as long as they must.
  const cluster = open({ connectTimeoutMs: 120_000 })
  await cluster.reader.query('SELECT')
  for (const name of REPLICAS) await servers.pauseReplay(name)
  const before = REPLICAS.map(questions)
  const startedAt = performance.now()
  await cluster.writer.query('INSERT INTO posts VALUES (1)')
  const token = (await cluster.token())!
  const read = (): Promise<pg.QueryResult> => cluster.reader.query('SELECT id FROM posts')
  const reads = Promise.all(Array.from({ length: 10_000 }, () => cluster.session(read, { token })))
  // Each is asked again and again while they wait.
  await expect
    .poll(() => REPLICAS.map((name, index) => questions(name) - before[index]! >= 5), {
      timeout: 20_000,
    })
    .toEqual([true, true])
  const asked = REPLICAS.map((name, index) => questions(name) - before[index]!)
  const elapsedMs = performance.now() - startedAt
  // One poll pauses for 1 ms, then longer each time, up to 50 ms.
  for (const count of asked) expect(count).toBeLessThanOrEqual(15 + elapsedMs / 50)
  for (const name of REPLICAS) await servers.resumeReplay(name)
  for (const { rows } of await reads) expect(rows).toHaveLength(1)
})
