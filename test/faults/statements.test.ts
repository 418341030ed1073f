import { expect, test } from 'vitest'
import { EXECUTE } from '../../src/cluster/statement.ts'
import { DeadlineExceededError, StrictReadModelError } from '../../src/errors.ts'
import { faultOf } from '../../src/routing/failures.ts'
import { WHO } from '../support/cluster.ts'
import { announced, failureOf, mark, row, useFaults } from '../support/faults.ts'

/** What a server says of a statement while the connection stays: the write has certainly failed. */
const bed = useFaults({ max_standby_streaming_delay: '100ms' })

const stored = async (): Promise<number> => (await bed.on('master', 'SELECT FROM posts')).length

row(
  'read-only server or transaction',
  'a read that writes is refused, a write has failed',
  async () => {
    const cluster = bed.open()
    const seen = announced(cluster)
    const [read, write] = [mark(), mark()]
    expect(await failureOf(cluster.reader.query(`CREATE TABLE x () ${read}`))).toBeInstanceOf(
      StrictReadModelError,
    )
    expect(bed.runs(read)).toEqual({ master: 0, replica1: 1, replica2: 0 })
    // The application's own: the primary is confirmed, and the statement is not sent again.
    const modest = bed.open({ master: { pool: 1 } })
    await modest.writer.query('SET default_transaction_read_only = on')
    const error = await failureOf(
      modest.writer[EXECUTE]({ text: `INSERT INTO posts VALUES (1) ${write}` }),
    )
    expect(error).toMatchObject({ code: '25006' })
    expect(bed.runs(write)).toEqual({ master: 1, replica1: 0, replica2: 0 })
    expect(await stored()).toBe(0)
    expect(seen).toEqual([])
  },
)

row(
  'read-write on a standby',
  'no read gets so far as to ask for it, and none is run on the primary for it',
  async () => {
    const cluster = bed.open()
    const [begin, lift] = [mark(), mark()]
    const refused = await failureOf(cluster.reader.query(`BEGIN READ WRITE ${begin}`))
    expect(refused).toBeInstanceOf(StrictReadModelError)
    expect(bed.runs(begin)).toEqual({ master: 0, replica1: 0, replica2: 0 })
    const computed = `SELECT set_config('transaction_' || 'read_only', 'off', true) ${lift}`
    expect(await failureOf(cluster.reader.query(computed))).toMatchObject({ code: '25001' })
    expect(bed.runs(lift)).toMatchObject({ master: 0 })
    // A write meets it only where the primary has just become a standby.
    const error = await failureOf(bed.on('replica1', 'BEGIN READ WRITE'))
    expect(error).toMatchObject({ code: '0A000' })
    expect(faultOf(error, 'statement')).toMatchObject({
      name: 'read-write on a standby',
      follows: { write: 'failed', node: 'ask role' },
    })
  },
)

for (const text of [
  'SELECT pg_current_wal_lsn()',
  "SELECT pg_nextoid('pg_class', 'oid', 'pg_class_oid_index')",
  'BEGIN ISOLATION LEVEL SERIALIZABLE',
]) {
  row('only a primary can', text, async () => {
    const cluster = bed.open()
    const seen = announced(cluster)
    const marked = mark()
    const result = await cluster.reader.query(`${text} ${marked}`)
    expect(result.routing).toMatchObject({ node: 'master', role: 'primary' })
    const { master, replica1, replica2 } = bed.runs(marked)
    expect([master, replica1 + replica2]).toEqual([1, 1])
    expect(seen).toEqual([])
    // The primary is not one of them.
    expect(
      await failureOf(cluster.using('replica', () => cluster.reader.query(text))),
    ).toMatchObject({
      code: expect.stringMatching(/^(?:55000|XX000|0A000)$/),
    })
    // A write meets it only where the primary has just become a standby.
    expect(faultOf(await failureOf(bed.on('replica1', text)), 'statement')).toMatchObject({
      name: 'only a primary can',
      follows: { write: 'failed', node: 'none' },
    })
    await bed.on('replica1', 'ROLLBACK')
  })
}

test('where all sessions are serializable, every read goes to the primary after a replica refused it', async () => {
  const serializable = { variables: { default_transaction_isolation: 'serializable' } }
  const cluster = bed.open({ replica1: serializable, replica2: serializable })
  for (let turn = 0; turn < 4; turn++)
    expect(bed.nameOf((await cluster.reader.query(WHO)).rows[0])).toBe('master')
})

row('recovery conflict', 'another node is asked', async () => {
  await bed.on('master', 'CREATE TABLE doomed AS SELECT 1 AS id')
  await bed.replicated()
  const cluster = bed.open()
  const seen = announced(cluster)
  const marked = mark()
  const slow = cluster.using('replica', () =>
    cluster.reader.query(
      `SELECT (SELECT count(*)::int FROM doomed) AS rows, pg_sleep(3) ${marked}`,
    ),
  )
  await bed.running('replica1', marked)
  await bed.on('master', 'TRUNCATE doomed')
  expect((await slow).routing).toMatchObject({ node: 'replica2', reason: 'using' })
  expect(bed.runs(marked)).toEqual({ master: 0, replica1: 1, replica2: 1 })
  expect(seen).toEqual([])
})

row(
  'recovery conflict, connection ended',
  'what is lost is the transaction, not the next read',
  async () => {
    await bed.on('master', 'CREATE TABLE held AS SELECT 1 AS id')
    await bed.replicated()
    const cluster = bed.open()
    const seen = announced(cluster)
    const lost = failureOf(
      cluster.snapshot(async () => {
        const { rows } = await cluster.reader.query('SELECT pg_backend_pid() AS pid FROM held')
        const gone = 'SELECT FROM pg_stat_activity WHERE pid = $1'
        await bed.on('master', 'TRUNCATE held')
        await expect
          .poll(() => bed.on('replica1', gone, [rows[0].pid]), { timeout: 15_000 })
          .toEqual([])
        await cluster.reader.query('SELECT 1')
      }),
    )
    expect(await lost).toMatchObject({ message: expect.stringMatching(/not queryable|terminat/) })
    for (let turn = 0; turn < 3; turn++) await cluster.reader.query('SELECT 1')
    expect(seen).toEqual([])
  },
)

row(
  'serialization failure or deadlock',
  'the caller hears of it, and nothing was done',
  async () => {
    await bed.on('master', 'INSERT INTO posts VALUES (10), (11)')
    const cluster = bed.open()
    const seen = announced(cluster)
    const outcomes = await Promise.allSettled(
      [10, 11].map((first) =>
        cluster.transaction(async () => {
          await cluster.writer.query('UPDATE posts SET id = id WHERE id = $1', [first])
          await expect
            .poll(
              async () =>
                (
                  await bed.on(
                    'master',
                    "SELECT FROM pg_locks WHERE relation = 'posts'::regclass AND mode = 'RowExclusiveLock'",
                  )
                ).length,
            )
            .toBe(2)
          await cluster.writer.query('UPDATE posts SET id = id WHERE id = $1', [21 - first])
        }),
      ),
    )
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(failed.map(({ reason }) => reason)).toMatchObject([{ code: '40P01' }])
    await bed.on('master', 'TRUNCATE posts')
    expect(seen).toEqual([])
  },
)

row('failed transaction', 'nothing of it is left on the connection', async () => {
  const cluster = bed.open({ replica1: { pool: 1 }, replica2: { pool: 1 } })
  for (const pool of [cluster.writer, cluster.reader]) {
    const client = await pool.connect()
    await client.query('BEGIN')
    await failureOf(client.query('SELECT 1 / 0'))
    expect(await failureOf(client.query('SELECT 1'))).toMatchObject({ code: '25P02' })
    await client.query('ROLLBACK')
    client.release()
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  }
})

row('statement cancelled', 'it is run once, and the error is the caller’s', async () => {
  const cluster = bed.open()
  const seen = announced(cluster)
  for (const [pool, server] of [
    [cluster.reader, 'replica1'],
    [cluster.writer, 'master'],
  ] as const) {
    const marked = mark()
    const failed = failureOf(pool[EXECUTE]({ text: `SELECT pg_sleep(60) ${marked}` }))
    await bed.on(server, 'SELECT pg_cancel_backend($1)', [await bed.running(server, marked)])
    expect(await failed).toMatchObject({ code: '57014' })
    const runs = Object.values(bed.runs(marked)).reduce((sum, count) => sum + count, 0)
    expect(runs).toBe(1)
  }
  expect(seen).toEqual([])
})

row('lock timeout', 'it is run once, and the error is the caller’s', async () => {
  const impatient = { variables: { lock_timeout: '50ms' } }
  const cluster = bed.open({ master: impatient, replica1: impatient, replica2: impatient })
  const holder = await bed.client('master')
  await holder.query('BEGIN; LOCK TABLE posts IN ACCESS EXCLUSIVE MODE')
  // A lock is only on the standby when something that came after it has been flushed.
  await bed.on('master', 'CREATE TABLE flushed ()')
  await bed.replicated()
  const [read, write] = [mark(), mark()]
  const reading = await failureOf(cluster.reader.query(`SELECT count(*) FROM posts ${read}`))
  const writing = await failureOf(
    cluster.writer[EXECUTE]({ text: `INSERT INTO posts VALUES (1) ${write}` }),
  )
  await holder.query('ROLLBACK')
  await holder.end()
  expect(reading).toMatchObject({ code: '55P03' })
  expect(bed.runs(read)).toEqual({ master: 0, replica1: 1, replica2: 0 })
  expect(writing).toMatchObject({ code: '55P03' })
  expect(await stored()).toBe(0)
})

row('other error of the server', 'it is run once, and the error is the caller’s', async () => {
  const cluster = bed.open()
  const seen = announced(cluster)
  const [read, write] = [mark(), mark()]
  expect(await failureOf(cluster.reader.query(`SELECT 1 / 0 ${read}`))).toMatchObject({
    code: '22012',
  })
  expect(bed.runs(read)).toEqual({ master: 0, replica1: 1, replica2: 0 })
  const failed = cluster.writer[EXECUTE]({ text: `INSERT INTO posts VALUES (1 / 0) ${write}` })
  expect(await failureOf(failed)).toMatchObject({ code: '22012' })
  expect(bed.runs(write)).toEqual({ master: 1, replica1: 0, replica2: 0 })
  expect(seen).toEqual([])
})

row(
  'other error',
  'given up by the caller: cancelled on the server, and not repeated',
  async () => {
    const cluster = bed.open()
    const seen = announced(cluster)
    for (const [pool, server] of [
      [cluster.reader, 'replica1'],
      [cluster.writer, 'master'],
    ] as const) {
      const marked = mark()
      const failed = failureOf(
        pool[EXECUTE]({ text: `SELECT pg_sleep(60) ${marked}` }, { timeoutMs: 1_500 }),
      )
      await bed.running(server, marked)
      expect(await failed).toBeInstanceOf(DeadlineExceededError)
      const running =
        'SELECT FROM pg_stat_activity WHERE state = $1 AND pid <> pg_backend_pid() AND position($2 in query) > 0'
      await expect.poll(() => bed.on(server, running, ['active', marked])).toEqual([])
      expect(Object.values(bed.runs(marked)).reduce((sum, count) => sum + count, 0)).toBe(1)
    }
    expect(seen).toEqual([])
  },
)

row(
  'query_timeout of pg',
  'the statement is cancelled on the server; a write is unknown',
  async () => {
    const cluster = bed.open()
    for (const [pool, server] of [
      [cluster.reader, 'replica1'],
      [cluster.writer, 'master'],
    ] as const) {
      const marked = mark()
      const failed = failureOf(
        pool.query({ text: `SELECT pg_sleep(60) ${marked}`, query_timeout: 500 } as never),
      )
      await bed.running(server, marked)
      expect(await failed).toMatchObject(
        server === 'master'
          ? { code: 'SEGREGATO_WRITE_OUTCOME_UNKNOWN' }
          : { message: 'Query read timeout' },
      )
      const running =
        'SELECT FROM pg_stat_activity WHERE state = $1 AND pid <> pg_backend_pid() AND position($2 in query) > 0'
      await expect.poll(() => bed.on(server, running, ['active', marked])).toEqual([])
      expect(Object.values(bed.runs(marked)).reduce((sum, count) => sum + count, 0)).toBe(1)
    }
  },
)
