import { once } from 'node:events'
import type pg from 'pg'
import { Query } from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import {
  check,
  counts,
  describeError,
  facts,
  outcome,
  until,
  withPool,
} from '../../../support/contract.ts'

const SERIES = 'SELECT n FROM generate_series(1, $1::int) AS n'
/** Fails at its fourth row. */
const BREAKS = 'SELECT 10 / (4 - n) AS x FROM generate_series(1, $1::int) AS n'
const DIVISION = {
  type: 'DatabaseError',
  message: 'division by zero',
  code: '22012',
  severity: 'ERROR',
}

const numbers = (rows: readonly { n: number }[]): string => rows.map(({ n }) => n).join(' ')

const withClient = <T>(pool: pg.Pool, use: (client: pg.PoolClient) => Promise<T>): Promise<T> =>
  pool.connect().then((client) => use(client).finally(() => client.release()))

export const submittableChecks = [
  check(
    'cursor: pages, the end, and reading on behind it',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        withClient(pool, async (client) => {
          const cursor = client.query(new Cursor<{ n: number }>(SERIES, [5]))
          const pages: string[] = []
          for (let page = 0; page < 4; page++) pages.push(numbers(await cursor.read(2)))
          await cursor.close()
          return { pages, next: facts(await client.query('SELECT 1 AS one')) }
        }),
      ),
    {
      pages: ['1 2', '3 4', '5', ''],
      next: { command: 'SELECT', rowCount: 1, rows: [{ one: 1 }], fields: ['one'] },
    },
  ),
  check(
    'cursor: closed early, the client and its connection go on',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const seen = await withClient(pool, async (client) => {
          const cursor = client.query(new Cursor<{ n: number }>(SERIES, [100_000]))
          const first = numbers(await cursor.read(3))
          await cursor.close()
          return [
            first,
            numbers(await cursor.read(3)),
            (await client.query('SELECT 1 AS one')).rows,
          ]
        })
        return [...seen, counts(pool), (await pool.query('SELECT 2 AS two')).rows]
      }),
    ['1 2 3', '', [{ one: 1 }], '1 open, 1 idle, 0 waiting', [{ two: 2 }]],
  ),
  check(
    'cursor: with a callback, the result beside the rows',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        withClient(pool, async (client) => {
          const cursor = client.query(new Cursor<[number]>(SERIES, [3], { rowMode: 'array' }))
          const seen = await new Promise((resolve) => {
            cursor.read(10, (error, rows, result) =>
              resolve({
                error: error ?? null,
                rows,
                fields: result.fields.map(({ name }) => name),
              }),
            )
          })
          await cursor.close()
          return seen
        }),
      ),
    { error: null, rows: [[1], [2], [3]], fields: ['n'] },
  ),
  check(
    'cursor: an error at a later page, and one in the statement itself',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        withClient(pool, async (client) => {
          const late = client.query(new Cursor<{ x: number }>(BREAKS, [10]))
          const first = (await late.read(2)).map(({ x }) => x)
          const failed = await outcome(late.read(5))
          const again = await outcome(late.read(5))
          await late.close()
          const wrong = client.query(new Cursor('SELECT no_such_column', []))
          const refused = await outcome(wrong.read(1))
          await wrong.close()
          return {
            first,
            failed,
            again,
            refused,
            next: (await client.query('SELECT 1 AS one')).rows,
          }
        }),
      ),
    {
      first: [3, 5],
      failed: { rejected: DIVISION },
      again: { rejected: DIVISION },
      refused: {
        rejected: {
          type: 'DatabaseError',
          message: 'column "no_such_column" does not exist',
          code: '42703',
          severity: 'ERROR',
        },
      },
      next: [{ one: 1 }],
    },
  ),
  check(
    'cursor: two after each other, queued on one client, inside a transaction',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        withClient(pool, async (client) => {
          await client.query('BEGIN')
          const first = client.query(new Cursor<{ n: number }>(SERIES, [2]))
          const rows = [numbers(await first.read(10))]
          await first.close()
          const second = client.query(new Cursor<{ n: number }>(SERIES, [3]))
          rows.push(numbers(await second.read(10)))
          await second.close()
          await client.query('ROLLBACK')
          return rows
        }),
      ),
    ['1 2', '1 2 3'],
  ),
  check(
    'stream: to the end, on a client',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const rows = await withClient(pool, async (client) => {
          const stream = client.query(new QueryStream(SERIES, [250], { batchSize: 100 }))
          const seen: number[] = []
          for await (const row of stream) seen.push((row as { n: number }).n)
          return { length: seen.length, first: seen[0], last: seen.at(-1) }
        })
        return [rows, counts(pool), (await pool.query('SELECT 1 AS one')).rows]
      }),
    [{ length: 250, first: 1, last: 250 }, '1 open, 1 idle, 0 waiting', [{ one: 1 }]],
  ),
  check(
    'stream: left early, the client goes on',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        withClient(pool, async (client) => {
          const left = client.query(new QueryStream(SERIES, [100_000], { batchSize: 10 }))
          const seen: number[] = []
          // Leaving the loop does not wait for this, and a stream must not be destroyed while it is queued.
          const leftClosed = new Promise((resolve) => left.once('close', resolve))
          for await (const row of left) {
            seen.push((row as { n: number }).n)
            if (seen.length === 3) break
          }
          await leftClosed
          const destroyed = client.query(new QueryStream(SERIES, [100_000]))
          const closed = once(destroyed, 'close')
          destroyed.destroy()
          await closed
          return [seen, (await client.query('SELECT 1 AS one')).rows]
        }),
      ),
    [[1, 2, 3], [{ one: 1 }]],
  ),
  check(
    'stream: an error behind some rows',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        withClient(pool, async (client) => {
          const stream = client.query(new QueryStream(BREAKS, [10], { batchSize: 1 }))
          const seen: unknown[] = []
          try {
            for await (const row of stream) seen.push((row as { x: number }).x)
          } catch (error) {
            seen.push(describeError(error))
          }
          return [seen, (await client.query('SELECT 1 AS one')).rows]
        }),
      ),
    [[3, 5, 10, DIVISION], [{ one: 1 }]],
  ),
  check(
    'stream: given to pool.query, the promise ends with it and the connection comes back',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const stream = new QueryStream(SERIES, [5])
        const ended = pool.query(stream as unknown as pg.QueryConfig)
        const seen: number[] = []
        for await (const row of stream) seen.push((row as { n: number }).n)
        const { command } = await ended
        return { seen, command, after: counts(pool) }
      }),
    { seen: [1, 2, 3, 4, 5], command: 'SELECT', after: '1 open, 1 idle, 0 waiting' },
  ),
  check(
    'pg.Query: rows and end as events, on a client',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        withClient(pool, async (client) => {
          const query = new Query<{ n: number }>(SERIES, [2])
          const seen: unknown[] = []
          query.on('row', (row) => seen.push(row))
          const ended = once(query, 'end')
          const returned = client.query(query)
          const [result] = (await ended) as [pg.QueryResult]
          return {
            seen,
            same: returned === query,
            rowCount: result.rowCount,
            kept: result.rows.length,
          }
        }),
      ),
    { seen: [{ n: 1 }, { n: 2 }], same: true, rowCount: 2, kept: 0 },
  ),
  check(
    'pg.Query: an error as event, on a client',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        withClient(pool, async (client) => {
          const query = client.query(new Query('SELECT 1/0'))
          const [error] = (await once(query, 'error')) as [Error]
          return [describeError(error), (await client.query('SELECT 1 AS one')).rows]
        }),
      ),
    [DIVISION, [{ one: 1 }]],
  ),
  check(
    'pg.Query: given to pool.query, the promise has the result and the events come too',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const query = new Query<{ n: number }>(SERIES, [2])
        const seen: unknown[] = []
        query.on('row', (row) => seen.push(row))
        query.on('end', () => seen.push('end'))
        const result = await pool.query(query as unknown as pg.QueryConfig)
        const failing = new Query('SELECT 1/0')
        return [
          seen,
          facts(result),
          await outcome(pool.query(failing as unknown as pg.QueryConfig)),
        ]
      }),
    [
      [{ n: 1 }, { n: 2 }, 'end'],
      { command: 'SELECT', rowCount: 2, rows: [{ n: 1 }, { n: 2 }], fields: ['n'] },
      { rejected: DIVISION },
    ],
  ),
  check(
    'submittable: an object of the user, on a client',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        withClient(pool, async (client) => {
          const calls: string[] = []
          let ready = false
          const note = (name: string) => () => void calls.push(name)
          const mine = {
            submit: (connection: { query(text: string): void }) => {
              calls.push('submit')
              connection.query('SELECT 1')
            },
            handleRowDescription: note('description'),
            handleDataRow: note('row'),
            handleCommandComplete: note('complete'),
            handleError: note('error'),
            handleReadyForQuery: () => {
              calls.push('ready')
              ready = true
            },
          }
          const returned = client.query(mine as unknown as pg.Submittable)
          await until('the statement is done', () => ready)
          return {
            same: (returned as unknown) === mine,
            calls,
            next: (await client.query('SELECT 1 AS one')).rows,
          }
        }),
      ),
    {
      same: true,
      calls: ['submit', 'description', 'row', 'complete', 'ready'],
      next: [{ one: 1 }],
    },
  ),
]
