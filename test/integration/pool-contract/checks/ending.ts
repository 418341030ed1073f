import {
  check,
  counts,
  Events,
  loosely,
  outcome,
  told,
  viaCallback,
  withPool,
} from '../../../support/contract.ts'

const ENDED = { type: 'Error', message: 'Cannot use a pool after calling end on the pool' }
const TWICE = { type: 'Error', message: 'Called end on pool more than once' }

export const endingChecks = [
  check(
    'end: of a pool that was never used, of one with idle connections',
    async (subject) => {
      const unused = await withPool(subject, {}, async (pool) => {
        const ended = await outcome(pool.end())
        return [ended, pool.ending, pool.ended]
      })
      const idle = await withPool(subject, { max: 2 }, async (pool) => {
        const events = new Events(pool)
        await Promise.all([pool.query('SELECT 1'), pool.query('SELECT 1')])
        const before = [pool.ending, pool.ended, counts(pool)]
        const ended = await outcome(pool.end())
        await events.until('remove A')
        const seen = await events.until('remove B')
        return {
          before,
          ended,
          after: counts(pool),
          removed: seen.filter((event) => event.startsWith('remove')).length,
        }
      })
      return { unused, idle }
    },
    {
      unused: [{ resolved: null }, true, true],
      idle: {
        before: [false, false, '2 open, 2 idle, 0 waiting'],
        ended: { resolved: null },
        after: '0 open, 0 idle, 0 waiting',
        removed: 2,
      },
    },
  ),
  check(
    'end: with a callback',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        await pool.query('SELECT 1')
        const { returned, given } = await viaCallback((done) => loosely(pool, 'end')(done))
        return { returned: String(returned), told: told(given), ended: pool.ended }
      }),
    { returned: 'undefined', told: { error: 'none', value: 'none' }, ended: true },
  ),
  check(
    'end: nothing can be asked afterwards, and not twice',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        await pool.end()
        const called = async (method: 'query' | 'connect' | 'end', ...given: unknown[]) =>
          told((await viaCallback((done) => loosely(pool, method)(...given, done))).given)
        return {
          query: [await outcome(pool.query('SELECT 1')), await called('query', 'SELECT 1')],
          connect: [await outcome(pool.connect()), await called('connect')],
          end: [await outcome(pool.end()), await called('end')],
        }
      }),
    {
      query: [{ rejected: ENDED }, { error: ENDED, value: 'none' }],
      connect: [{ rejected: ENDED }, { error: ENDED, value: 'none' }],
      end: [{ rejected: TWICE }, { error: TWICE, value: 'none' }],
    },
  ),
  check(
    'end: waits for a lent client, which can be used until it is released',
    (subject) =>
      withPool(subject, { max: 2 }, async (pool) => {
        const order: string[] = []
        const client = await pool.connect()
        const ended = pool.end().then(() => order.push(`ended: ${counts(pool)}`))
        order.push(`ending: ${pool.ending} ${pool.ended} ${counts(pool)}`)
        const rows = (await client.query('SELECT 1 AS one')).rows
        order.push('used')
        client.release()
        await ended
        return [rows, order]
      }),
    [
      [{ one: 1 }],
      ['ending: true false 1 open, 0 idle, 0 waiting', 'used', 'ended: 0 open, 0 idle, 0 waiting'],
    ],
  ),
  check(
    'end: a statement under way ends as it would have',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const order: string[] = []
        await pool.query('SELECT 1')
        const asked = pool.query('SELECT 1 AS one FROM pg_sleep(0.05)').then(({ rows }) => {
          order.push('answered')
          return rows
        })
        // Its connection is taken on the next turn only.
        await new Promise((resolve) => setImmediate(resolve))
        await pool.end()
        order.push('ended')
        return [await asked, order]
      }),
    [[{ one: 1 }], ['answered', 'ended']],
  ),
  check(
    'end: while the first connection is being made',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const asked = outcome(pool.query('SELECT 1 AS one'), ({ rows }) => rows)
        const ended = outcome(pool.end())
        return [await asked, await ended, counts(pool)]
      }),
    [{ resolved: [{ one: 1 }] }, { resolved: null }, '0 open, 0 idle, 0 waiting'],
  ),
  check(
    'end: one that waits for a connection is not served any more, its time-out ends it',
    (subject) =>
      withPool(subject, { max: 1, connectionTimeoutMillis: 1_000 }, async (pool) => {
        const holder = await pool.connect()
        const waiting = outcome(pool.connect())
        const ended = outcome(pool.end())
        const seen = await waiting
        holder.release()
        return [seen, await ended, counts(pool)]
      }),
    [
      { rejected: { type: 'Error', message: 'timeout exceeded when trying to connect' } },
      { resolved: null },
      '0 open, 0 idle, 0 waiting',
    ],
  ),
]
