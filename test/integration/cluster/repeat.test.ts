import { beforeEach, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import type { TransactionOptions } from '../../../src/cluster/transaction.ts'
import { InvalidArgumentError, WriteOutcomeUnknownError } from '../../../src/errors.ts'
import { useCluster } from '../../support/cluster.ts'
import { openCuttingProxy } from '../../support/cutting-proxy.ts'

const fixture = useCluster('CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL)')
beforeEach(() =>
  fixture.db.admin.query('TRUNCATE counters; INSERT INTO counters VALUES (1, 0), (2, 0)'),
)

const SERIALIZABLE = { isolation: 'serializable' } as const

/** Adds one to what it reads, while another one did so between reading and writing, as often as `rivals` says. */
const increment = (
  cluster: Cluster,
  rivals: number,
  options: TransactionOptions,
): { done: Promise<number>; runs: () => number } => {
  let runs = 0
  const done = cluster.transaction(async () => {
    const { rows } = await cluster.reader.query('SELECT n FROM counters WHERE id = 1')
    if (++runs <= rivals) await fixture.db.admin.query('UPDATE counters SET n = n + 1 WHERE id = 1')
    await cluster.writer.query('UPDATE counters SET n = $1 WHERE id = 1', [rows[0].n + 1])
    return rows[0].n + 1
  }, options)
  return { done, runs: () => runs }
}

const stored = async (): Promise<number> =>
  (await fixture.db.admin.query<{ n: number }>('SELECT n FROM counters WHERE id = 1')).rows[0]!.n

test('a transaction that lost against another one is repeated as a whole', async () => {
  const cluster = fixture.open()
  const { done, runs } = increment(cluster, 2, { ...SERIALIZABLE, retry: true })
  expect(await done).toBe(3)
  expect([runs(), await stored()]).toEqual([3, 3])
  // The process sees what was committed in the end, not what was rolled back.
  const { rows } = await cluster.reader.query('SELECT n FROM counters WHERE id = 1')
  expect(rows).toEqual([{ n: 3 }])
})

test('a session reads what the last attempt has committed', async () => {
  const cluster = fixture.open()
  const seen = await cluster.session(async () => {
    await increment(cluster, 1, { ...SERIALIZABLE, retry: true }).done
    return (await cluster.reader.query('SELECT n FROM counters WHERE id = 1')).rows
  })
  expect(seen).toEqual([{ n: 2 }])
})

test('not without being asked, not more often than allowed, not for other errors', async () => {
  const cluster = fixture.open()
  const once = increment(cluster, 9, SERIALIZABLE)
  await expect(once.done).rejects.toMatchObject({ code: '40001' })
  expect(once.runs()).toBe(1)
  const twice = increment(cluster, 9, { ...SERIALIZABLE, retry: { attempts: 2 } })
  await expect(twice.done).rejects.toMatchObject({ code: '40001' })
  expect(twice.runs()).toBe(2)
  let runs = 0
  const failing = cluster.transaction(
    async () => {
      runs++
      await cluster.writer.query('SELECT 1 / 0')
    },
    { retry: true },
  )
  await expect(failing).rejects.toMatchObject({ code: '22012' })
  expect(runs).toBe(1)
})

test('deadlocks, a failure at COMMIT, and one that the application has wrapped', async () => {
  const cluster = fixture.open()
  let met = 0
  const both = (first: number, second: number) =>
    cluster.transaction(
      async () => {
        await cluster.writer.query('UPDATE counters SET n = n + 1 WHERE id = $1', [first])
        if (++met <= 2) await expect.poll(() => met).toBeGreaterThanOrEqual(2)
        await cluster.writer.query('UPDATE counters SET n = n + 1 WHERE id = $1', [second])
      },
      { retry: true },
    )
  await Promise.all([both(1, 2), both(2, 1)])
  expect(await stored()).toBe(2)
  // Write skew is found out at COMMIT, or at the second write.
  let skewed = 0
  const skew = (from: number, to: number) =>
    cluster.transaction(
      async () => {
        await cluster.reader.query('SELECT n FROM counters WHERE id = $1', [from])
        if (++skewed <= 2) await expect.poll(() => skewed).toBeGreaterThanOrEqual(2)
        await cluster.writer.query('UPDATE counters SET n = n + 1 WHERE id = $1', [to])
      },
      { ...SERIALIZABLE, retry: true },
    )
  await Promise.all([skew(1, 2), skew(2, 1)])
  expect([await stored(), skewed]).toEqual([3, 3])
  let attempts = 0
  await cluster.transaction(
    async () => {
      if (++attempts > 1) return
      const cause = await cluster.writer
        .query("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
        .catch((error: Error) => error)
      throw new Error('the order could not be placed', { cause })
    },
    { retry: true },
  )
  expect(attempts).toBe(2)
})

test('inside another transaction only the outermost one is repeated', async () => {
  const cluster = fixture.open()
  const runs = { outer: 0, inner: 0 }
  const options: TransactionOptions = { retry: true }
  const fail = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"
  const nested = (around: TransactionOptions) =>
    cluster.transaction(async () => {
      runs.outer++
      await cluster.transaction(async () => {
        runs.inner++
        if (runs.inner < 3) await cluster.writer.query(fail)
      }, options)
    }, around)
  await expect(nested({})).rejects.toMatchObject({ code: '40001' })
  expect(runs).toEqual({ outer: 1, inner: 1 })
  await nested(options)
  expect(runs).toEqual({ outer: 3, inner: 3 })
})

test('a transaction whose outcome is unknown is never repeated, and timeoutMs is for all attempts', async () => {
  const proxy = await openCuttingProxy(fixture.db.config.master)
  const cluster = fixture.open({}, (config) => ({
    ...config,
    master: { ...config.master, port: proxy.port },
  }))
  let runs = 0
  proxy.cutAt('COMMIT', 'after')
  const unknown = cluster.transaction(
    async () => {
      runs++
      await cluster.writer.query('UPDATE counters SET n = n + 1 WHERE id = 1')
    },
    { retry: true },
  )
  await expect(unknown).rejects.toThrow(WriteOutcomeUnknownError)
  expect([runs, await stored()]).toEqual([1, 1])
  await proxy.close()
  const straight = fixture.open()
  await straight.writer.query('SELECT 1')
  const endless = increment(straight, 1_000, {
    ...SERIALIZABLE,
    retry: { attempts: 100 },
    timeoutMs: 3_000,
  })
  await expect(endless.done).rejects.toSatisfy((error: { code: string }) =>
    ['40001', 'SEGREGATO_DEADLINE_EXCEEDED'].includes(error.code),
  )
  expect(endless.runs()).toBeGreaterThan(1)
  expect(endless.runs()).toBeLessThan(100)
})

test.each([0, -1, 1.5, 101, Infinity, Number.NaN, '3', null])(
  'retry: { attempts: %s } is refused',
  async (attempts) => {
    const cluster = fixture.open()
    const never = cluster.transaction(async () => 1, { retry: { attempts } as never })
    await expect(never).rejects.toThrow(InvalidArgumentError)
    await expect(cluster.transaction(async () => 1, { retry: attempts as never })).rejects.toThrow(
      InvalidArgumentError,
    )
  },
)
