import type pg from 'pg'
import {
  backendOf,
  check,
  counts,
  Letters,
  pause,
  until,
  withPool,
} from '../../../support/contract.ts'

export const sizingChecks = [
  check(
    'sizing: the counts from the first call to the end',
    (subject) =>
      withPool(subject, { max: 2 }, async (pool) => {
        const seen = [counts(pool)]
        const asked = [pool.connect(), pool.connect(), pool.connect()]
        seen.push(counts(pool))
        const [first, second] = await Promise.all(asked.slice(0, 2))
        seen.push(counts(pool))
        first?.release()
        const third = await asked[2]
        seen.push(counts(pool))
        third?.release()
        second?.release()
        seen.push(counts(pool))
        await pool.end()
        seen.push(counts(pool))
        return seen
      }),
    [
      '0 open, 0 idle, 0 waiting',
      '2 open, 0 idle, 1 waiting',
      '2 open, 0 idle, 1 waiting',
      '2 open, 0 idle, 0 waiting',
      '2 open, 2 idle, 0 waiting',
      '0 open, 0 idle, 0 waiting',
    ],
  ),
  check(
    'sizing: pool.query counts from the call on',
    (subject) =>
      withPool(subject, { max: 2 }, async (pool) => {
        const asked = [1, 2, 3, 4].map(() => pool.query('SELECT 1'))
        const during = counts(pool)
        await Promise.all(asked)
        return [during, counts(pool)]
      }),
    ['2 open, 0 idle, 2 waiting', '2 open, 2 idle, 0 waiting'],
  ),
  check(
    'sizing: an idle connection is used before a new one is opened, the last used first',
    (subject) =>
      withPool(subject, { max: 3 }, async (pool) => {
        const letters = new Letters()
        const first = await pool.connect()
        const second = await pool.connect()
        const seen = [letters.of(await backendOf(first)), letters.of(await backendOf(second))]
        first.release()
        second.release()
        for (let turn = 0; turn < 2; turn++) seen.push(letters.of(await backendOf(pool)))
        return [seen.join(' '), counts(pool)]
      }),
    ['A B B B', '2 open, 2 idle, 0 waiting'],
  ),
  check(
    'sizing: those who wait are served in the order of asking, promises and callbacks alike',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const order: string[] = []
        const holder = await pool.connect()
        const served = (name: string) => (client: pg.PoolClient) => {
          order.push(name)
          client.release()
        }
        const first = pool.connect().then(served('first'))
        const second = new Promise<void>((resolve) => {
          pool.connect((_error, client) => {
            if (client !== undefined) served('second')(client)
            resolve()
          })
        })
        const third = pool.query('SELECT 1').then(() => order.push('third'))
        const during = counts(pool)
        holder.release()
        await Promise.all([first, second, third])
        return { during, order, after: counts(pool) }
      }),
    {
      during: '1 open, 0 idle, 3 waiting',
      order: ['first', 'second', 'third'],
      after: '1 open, 1 idle, 0 waiting',
    },
  ),
  check(
    'sizing: never more server processes than max',
    (subject) =>
      withPool(subject, { max: 3 }, async (pool) => {
        const pids = await Promise.all(Array.from({ length: 30 }, () => backendOf(pool)))
        return { at: new Set(pids).size <= 3, after: counts(pool) }
      }),
    { at: true, after: '3 open, 3 idle, 0 waiting' },
  ),
  check(
    'sizing: min connections stay when the others have been idle for too long',
    (subject) =>
      withPool(subject, { max: 3, min: 1, idleTimeoutMillis: 50 }, async (pool) => {
        const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
        const during = counts(pool)
        for (const client of clients) client.release()
        await until('two of them are closed', () => pool.totalCount === 1)
        await pause(150)
        return [during, counts(pool)]
      }),
    ['3 open, 0 idle, 0 waiting', '1 open, 1 idle, 0 waiting'],
  ),
  check(
    'sizing: a client that is closed makes room for one that waits',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const letters = new Letters()
        const holder = await pool.connect()
        const seen = [letters.of(await backendOf(holder))]
        const waiting = backendOf(pool)
        holder.release(new Error('broken'))
        seen.push(letters.of(await waiting))
        return [seen.join(' '), counts(pool)]
      }),
    ['A B', '1 open, 1 idle, 0 waiting'],
  ),
  check(
    'sizing: the options can be read',
    (subject) =>
      withPool(
        subject,
        {
          max: 4,
          min: 1,
          maxUses: 9,
          idleTimeoutMillis: 700,
          connectionTimeoutMillis: 3000,
          maxLifetimeSeconds: 60,
        },
        async ({ options }) => {
          const {
            max,
            min,
            maxUses,
            idleTimeoutMillis,
            connectionTimeoutMillis,
            maxLifetimeSeconds,
          } = options
          return {
            max,
            min,
            maxUses,
            idleTimeoutMillis,
            connectionTimeoutMillis,
            maxLifetimeSeconds,
          }
        },
      ),
    {
      max: 4,
      min: 1,
      maxUses: 9,
      idleTimeoutMillis: 700,
      connectionTimeoutMillis: 3000,
      maxLifetimeSeconds: 60,
    },
  ),
]
