import { noPrimary, PRIMARY_IS_AWAITED, withoutTimes } from './connecting.ts'
import { openSilence } from '../../../support/contract-proxy.ts'
import {
  backendOf,
  check,
  counts,
  Events,
  Letters,
  lentOnce,
  loosely,
  outcome,
  pause,
  told,
  until,
  viaCallback,
  withPool,
} from '../../../support/contract.ts'

const FULL = { type: 'Error', message: 'timeout exceeded when trying to connect' }

const TIMED_OUT = {
  type: 'Error',
  message: 'Connection terminated due to connection timeout',
  cause: { type: 'Error', message: 'Connection terminated unexpectedly' },
}
/** What is seen when `query_timeout` ends a statement on connection A. */
const GIVEN_UP = (rejected: object): unknown => [
  'A',
  { rejected },
  'B',
  [
    'connect A',
    'acquire A',
    'release A',
    'acquire A',
    'release A with Query read timeout',
    'remove A',

    'connect B',
    'acquire B',
    'release B',
  ],
]

export const timeoutChecks = [
  check(
    'connectionTimeoutMillis: while all connections are lent',
    (subject) =>
      withPool(subject, { max: 1, connectionTimeoutMillis: 1_000 }, async (pool) => {
        const events = new Events(pool)
        const holder = await pool.connect()
        const lent = outcome(pool.connect())
        const asked = outcome(pool.query('SELECT 1'))
        const called = viaCallback((done) => loosely(pool, 'connect')(done))
        const during = counts(pool)
        const ended = [await lent, await asked, told((await called).given)]
        const after = counts(pool)
        holder.release()
        const rows = (await pool.query('SELECT 1 AS one')).rows
        return { during, ended, after, rows, seen: events.seen }
      }),
    {
      during: '1 open, 0 idle, 3 waiting',
      ended: [{ rejected: FULL }, { rejected: FULL }, { error: FULL, value: 'none' }],
      after: '1 open, 0 idle, 0 waiting',
      rows: [{ one: 1 }],
      seen: ['connect A', 'acquire A', 'release A', 'acquire A', 'release A'],
    },
  ),
  check(
    'connectionTimeoutMillis: one that waits in time is served and not bothered afterwards',
    (subject) =>
      withPool(subject, { max: 1, connectionTimeoutMillis: 1_000 }, async (pool) => {
        const holder = await pool.connect()
        const waiting = pool.connect()
        holder.release()
        const client = await waiting
        await pause(1_100)
        const rows = (await client.query('SELECT 1 AS one')).rows
        client.release()
        return [rows, counts(pool)]
      }),
    [[{ one: 1 }], '1 open, 1 idle, 0 waiting'],
  ),
  check(
    'connectionTimeoutMillis: a statement may take longer than that',
    (subject) =>
      withPool(subject, { max: 1, connectionTimeoutMillis: 1_000 }, async (pool) => {
        const { rows } = await pool.query('SELECT 1 AS one FROM pg_sleep(1.1)')
        return [rows, counts(pool)]
      }),
    [[{ one: 1 }], '1 open, 1 idle, 0 waiting'],
  ),
  check(
    'connectionTimeoutMillis: a server that never answers',
    async (subject) => {
      const silence = await openSilence()
      const { host, port } = silence
      try {
        return await withPool(
          subject,
          { max: 1, connectionTimeoutMillis: 1_000, host, port },
          async (pool) => {
            const events = new Events(pool)
            const asked = await outcome(pool.query('SELECT 1'), ({ command }) => command)
            const lent = await lentOnce(pool)
            const shown = withoutTimes(JSON.stringify({ asked, lent }))
            return { ...JSON.parse(shown), after: counts(pool), seen: events.seen } as unknown
          },
        )
      } finally {
        await silence.close()
      }
    },
    {
      asked: { rejected: TIMED_OUT },
      lent: { rejected: TIMED_OUT },
      after: '0 open, 0 idle, 0 waiting',
      seen: [],
    },
    {
      writer: {
        why: PRIMARY_IS_AWAITED,
        observed: {
          asked: { rejected: noPrimary(TIMED_OUT) },
          lent: { rejected: noPrimary(TIMED_OUT) },
          after: '0 open, 0 idle, 0 waiting',
          seen: [],
        },
      },
      reader: {
        why: 'the primary answers when no replica can be reached',
        observed: {
          asked: { resolved: 'SELECT' },
          lent: { resolved: 'a client' },
          after: '1 open, 1 idle, 0 waiting',
          seen: ['connect A', 'acquire A', 'release A', 'acquire A', 'release A'],
        },
      },
    },
  ),
  check(
    'query_timeout of one statement: the caller gets an error, the connection is not used again',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const letters = new Letters()
        const events = new Events(pool)
        const before = letters.of(await backendOf(pool))
        const slow = { text: 'SELECT pg_sleep(5)', query_timeout: 80 }
        const late = await outcome(pool.query(slow))
        await events.until('remove A')
        return [before, late, letters.of(await backendOf(pool)), events.seen]
      }),
    GIVEN_UP({ type: 'Error', message: 'Query read timeout' }),
    {
      writer: {
        why: 'a write that was given up while it ran may have been applied',
        observed: GIVEN_UP({
          type: 'WriteOutcomeUnknownError',
          message:
            'The write had been sent to master when the connection or the time for it was lost; it may have been applied. ' +
            'Read by a unique key that the write carries before repeating it',
          code: 'SEGREGATO_WRITE_OUTCOME_UNKNOWN',
          cause: { type: 'Error', message: 'Query read timeout' },
        }),
      },
    },
  ),
  check(
    'statement_timeout of the pool: the server ends the statement',
    (subject) =>
      withPool(subject, { max: 1, statement_timeout: 900 }, async (pool) => [
        await outcome(pool.query('SELECT pg_sleep(5)')),
        (await pool.query('SHOW statement_timeout')).rows,
      ]),
    [
      {
        rejected: {
          type: 'DatabaseError',
          message: 'canceling statement due to statement timeout',
          code: '57014',
          severity: 'ERROR',
        },
      },
      [{ statement_timeout: '900ms' }],
    ],
  ),
  check(
    'idleTimeoutMillis: an idle connection is closed, the next statement opens another',
    (subject) =>
      withPool(subject, { max: 2, idleTimeoutMillis: 50 }, async (pool) => {
        const letters = new Letters()
        const events = new Events(pool)
        const first = letters.of(await backendOf(pool))
        const seen = await events.until('remove A')
        return [first, seen, counts(pool), letters.of(await backendOf(pool))]
      }),
    ['A', ['connect A', 'acquire A', 'release A', 'remove A'], '0 open, 0 idle, 0 waiting', 'B'],
  ),
  check(
    'idleTimeoutMillis: a lent client is left alone',
    (subject) =>
      withPool(subject, { max: 1, idleTimeoutMillis: 50 }, async (pool) => {
        const letters = new Letters()
        const first = letters.of(await backendOf(pool))
        const client = await pool.connect()
        await pause(150)
        const seen = [first, letters.of(await backendOf(client)), counts(pool)]
        client.release()
        await until('it is closed', () => pool.totalCount === 0)
        return seen
      }),
    ['A', 'A', '1 open, 0 idle, 0 waiting'],
  ),
  check(
    'idleTimeoutMillis: 0 keeps idle connections',
    (subject) =>
      withPool(subject, { max: 2, idleTimeoutMillis: 0 }, async (pool) => {
        await Promise.all([pool.query('SELECT 1'), pool.query('SELECT 1')])
        await pause(150)
        return counts(pool)
      }),
    '2 open, 2 idle, 0 waiting',
  ),
]

export const lifetimeChecks = [
  check(
    'maxUses: a connection is closed after that many uses, statements and clients alike',
    (subject) =>
      withPool(subject, { max: 1, maxUses: 3 }, async (pool) => {
        const letters = new Letters()
        const seen: string[] = []
        for (let use = 0; use < 7; use++) {
          if (use % 2 === 0) {
            seen.push(letters.of(await backendOf(pool)))
            continue
          }
          const client = await pool.connect()
          seen.push(letters.of(await backendOf(client)))
          client.release()
        }
        return [seen.join(' '), counts(pool)]
      }),
    ['A A A B B B C', '1 open, 1 idle, 0 waiting'],
  ),
  check(
    'maxUses: 1, with others waiting, and its events',
    (subject) =>
      withPool(subject, { max: 1, maxUses: 1 }, async (pool) => {
        const letters = new Letters()
        const events = new Events(pool)
        const pids = await Promise.all([backendOf(pool), backendOf(pool), backendOf(pool)])
        const seen = await events.until('remove C')
        return [pids.map((pid) => letters.of(pid)).join(' '), seen, counts(pool)]
      }),
    [
      'A B C',
      [
        'connect A',
        'acquire A',
        'release A',
        'remove A',
        'connect B',
        'acquire B',
        'release B',
        'remove B',
        'connect C',
        'acquire C',
        'release C',
        'remove C',
      ],
      '0 open, 0 idle, 0 waiting',
    ],
  ),
  check(
    'maxLifetimeSeconds: an idle connection that is too old is closed',
    (subject) =>
      withPool(subject, { max: 1, maxLifetimeSeconds: 0.1 }, async (pool) => {
        const letters = new Letters()
        const events = new Events(pool)
        const first = letters.of(await backendOf(pool))
        const seen = await events.until('remove A')
        return [first, seen, counts(pool), letters.of(await backendOf(pool))]
      }),
    [
      'A',
      ['connect A', 'acquire A', 'release A', 'acquire A', 'release A', 'remove A'],
      '0 open, 0 idle, 0 waiting',
      'B',
    ],
  ),
  check(
    'maxLifetimeSeconds: a lent client that is too old works until it is released',
    (subject) =>
      withPool(subject, { max: 1, maxLifetimeSeconds: 0.1 }, async (pool) => {
        const letters = new Letters()
        const client = await pool.connect()
        const before = [letters.of(await backendOf(client)), pool.expiredCount]
        await until('it is too old', () => pool.expiredCount === 1)
        const during = [letters.of(await backendOf(client)), counts(pool)]
        client.release()
        return [
          ...before,
          ...during,
          counts(pool),
          pool.expiredCount,
          letters.of(await backendOf(pool)),
        ]
      }),
    ['A', 0, 'A', '1 open, 0 idle, 0 waiting', '0 open, 0 idle, 0 waiting', 0, 'B'],
  ),
  check(
    'maxLifetimeSeconds: 0 keeps connections for ever',
    (subject) =>
      withPool(subject, { max: 1, maxLifetimeSeconds: 0 }, async (pool) => {
        const letters = new Letters()
        const first = letters.of(await backendOf(pool))
        await pause(150)
        return [first, letters.of(await backendOf(pool)), pool.expiredCount]
      }),
    ['A', 'A', 0],
  ),
]
