import { Client } from 'pg'
import { openProxy } from '../../../support/contract-proxy.ts'
import {
  backendOf,
  check,
  counts,
  describeError,
  Events,
  Letters,
  outcome,
  mark,
  running,
  terminate,
  until,
  withPool,
} from '../../../support/contract.ts'

const TERMINATED = {
  type: 'DatabaseError',
  message: 'terminating connection due to administrator command',
  code: '57P01',
  severity: 'FATAL',
}
const LOST = { type: 'Error', message: 'Connection terminated unexpectedly' }

const NOTHING = '0 open, 0 idle, 0 waiting'
const REPEATED = 'a read whose connection is lost is repeated on another node'

/** Events in their order for each connection, whatever the others did meanwhile. */
const byConnection = (seen: readonly string[]): readonly string[] =>
  seen.toSorted((a, b) => a.split(' ')[1]!.localeCompare(b.split(' ')[1]!))

/** What becomes of a pool and its callers when connections die. */
export const failureChecks = [
  check(
    'idle connection ended by the server: the pool tells, removes it, and goes on',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const letters = new Letters()
        const events = new Events(pool, letters)
        const told: unknown[] = []
        pool.on('error', (error, client) => {
          told.push(describeError(error), client instanceof Client)
          told.push((error as { client?: unknown }).client === client, counts(pool))
        })
        await terminate(subject, await backendOf(pool))
        const seen = [...(await events.until('remove A'))]
        return { seen, told, rows: (await pool.query('SELECT 1 AS one')).rows }
      }),
    {
      seen: ['connect A', 'acquire A', 'release A', 'error 57P01 from A', 'remove A'],
      told: [TERMINATED, true, true, '0 open, 0 idle, 0 waiting'],
      rows: [{ one: 1 }],
    },
  ),
  check(
    'idle connection cut without a word: the pool tells, removes it, and goes on',
    async (subject) => {
      const proxy = await openProxy(subject.server)
      try {
        return await withPool(
          subject,
          { max: 1, host: proxy.host, port: proxy.port },
          async (pool) => {
            const events = new Events(pool)
            await pool.query('SELECT 1')
            proxy.sever()
            const seen = await events.until('error Connection terminated unexpectedly from A')
            return { seen, rows: (await pool.query('SELECT 1 AS one')).rows }
          },
        )
      } finally {
        await proxy.close()
      }
    },
    {
      seen: [
        'connect A',
        'acquire A',
        'release A',
        'remove A',
        'error Connection terminated unexpectedly from A',
      ],
      rows: [{ one: 1 }],
    },
  ),
  check(
    'lent client ended by the server between two statements: its own listeners hear it, the pool does not',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const events = new Events(pool)
        const client = await pool.connect()
        const heard: unknown[] = []
        client.on('error', (error) => heard.push(describeError(error)))
        client.on('end', () => heard.push('end'))
        await terminate(subject, await backendOf(client))
        await until('the client hears it', () => heard.includes('end'))
        const next = await outcome(client.query('SELECT 1'))
        client.release()
        const seen = await events.until('remove A')
        return { heard, next, seen, after: counts(pool) }
      }),
    {
      heard: [TERMINATED, LOST, 'end'],
      next: {
        rejected: {
          type: 'Error',
          message: 'Client has encountered a connection error and is not queryable',
        },
      },
      seen: ['connect A', 'acquire A', 'release A', 'remove A'],
      after: '0 open, 0 idle, 0 waiting',
    },
  ),
  check(
    'lent client ended by the server inside a statement',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const heard: unknown[] = []
        client.on('error', (error) => heard.push(describeError(error)))
        const marked = mark()
        const lost = outcome(client.query(`SELECT pg_sleep(5) ${marked}`))
        await terminate(subject, await running(subject, marked))
        const failed = await lost
        await until('the client hears it', () => heard.length > 0)
        const next = await outcome(client.query('SELECT 1'))
        client.release()
        return {
          failed,
          heard,
          next,
          after: counts(pool),
          rows: (await pool.query('SELECT 1 AS one')).rows,
        }
      }),
    {
      failed: { rejected: TERMINATED },
      heard: [LOST],
      next: {
        rejected: {
          type: 'Error',
          message: 'Client has encountered a connection error and is not queryable',
        },
      },
      after: '0 open, 0 idle, 0 waiting',
      rows: [{ one: 1 }],
    },
  ),
  check(
    'lent client cut without a word inside a statement',
    async (subject) => {
      const proxy = await openProxy(subject.server)
      try {
        return await withPool(
          subject,
          { max: 1, host: proxy.host, port: proxy.port },
          async (pool) => {
            const client = await pool.connect()
            const heard: unknown[] = []
            client.on('error', (error) => heard.push(describeError(error)))
            const marked = mark()
            const lost = outcome(client.query(`SELECT pg_sleep(5) ${marked}`))
            await running(subject, marked)
            proxy.sever()
            const failed = await lost
            await until('the client hears it', () => heard.length > 0)
            client.release()
            return { failed, heard, after: counts(pool) }
          },
        )
      } finally {
        await proxy.close()
      }
    },
    { failed: { rejected: LOST }, heard: [LOST], after: NOTHING },
  ),
  check(
    'pool.query ended by the server inside the statement',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const events = new Events(pool)
        const marked = mark()
        const lost = outcome(pool.query(`SELECT pg_sleep(1) ${marked}`), ({ command }) => command)
        await terminate(subject, await running(subject, marked))
        const failed = await lost
        return {
          failed,
          // A connection is removed when its socket has closed: that may take longer than opening another.
          seen: byConnection(await events.until('remove A')),
          rows: (await pool.query('SELECT 1 AS one')).rows,
        }
      }),
    {
      failed: { rejected: TERMINATED },
      seen: ['connect A', 'acquire A', 'release A with 57P01', 'remove A'],
      rows: [{ one: 1 }],
    },
    {
      reader: {
        why: REPEATED,
        observed: {
          failed: { resolved: 'SELECT' },
          seen: [
            'connect A',
            'acquire A',
            'release A with 57P01',
            'remove A',
            'connect B',
            'acquire B',
            'release B',
          ],
          rows: [{ one: 1 }],
        },
      },
    },
  ),
  check(
    'pool.query cut without a word inside the statement',
    async (subject) => {
      const proxy = await openProxy(subject.server)
      try {
        return await withPool(
          subject,
          { max: 1, host: proxy.host, port: proxy.port },
          async (pool) => {
            const marked = mark()
            const lost = outcome(
              pool.query(`SELECT pg_sleep(1) ${marked}`),
              ({ command }) => command,
            )
            await running(subject, marked)
            proxy.sever()
            return { failed: await lost, rows: (await pool.query('SELECT 1 AS one')).rows }
          },
        )
      } finally {
        await proxy.close()
      }
    },
    { failed: { rejected: LOST }, rows: [{ one: 1 }] },
    {
      writer: {
        why: 'a write whose connection is lost without an answer may have been applied',
        observed: {
          failed: {
            rejected: {
              type: 'WriteOutcomeUnknownError',
              message:
                'The write had been sent to master when the connection or the time for it was lost; it may have been applied. ' +
                'Read by a unique key that the write carries before repeating it',
              code: 'SEGREGATO_WRITE_OUTCOME_UNKNOWN',
              cause: LOST,
            },
          },
          rows: [{ one: 1 }],
        },
      },
      reader: { why: REPEATED, observed: { failed: { resolved: 'SELECT' }, rows: [{ one: 1 }] } },
    },
  ),
  check(
    'statements that wait behind a connection that dies are served by the next one',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const letters = new Letters()
        const client = await pool.connect()
        client.on('error', () => {})
        const first = letters.of(await backendOf(client))
        const waiting = [backendOf(pool), backendOf(pool)]
        const during = counts(pool)
        await terminate(subject, await backendOf(client))
        client.release()
        return [first, during, ...(await Promise.all(waiting)).map((pid) => letters.of(pid))]
      }),
    ['A', '1 open, 0 idle, 2 waiting', 'B', 'B'],
  ),
]
