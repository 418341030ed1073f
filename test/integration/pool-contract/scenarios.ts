import type pg from 'pg'
import {
  backendOf,
  bothPools,
  counts,
  type Difference,
  loosely,
  outcome,
  type PoolName,
  mark,
  running,
  short,
  type Subject,
  terminate,
  until,
  viaCallback,
} from '../../support/contract.ts'

/** Something that ends, or does not end, a process. Run in a child process. */
export interface Scenario {
  readonly run: (subject: Subject, report: (fact: unknown) => void) => Promise<void>
  /** What a process with `pg.Pool` reports and how it ends. */
  readonly expected: unknown
  readonly differences?: Partial<Record<PoolName, Difference>>
}

/** Whether sockets keep this process alive at this moment. */
const held = (): string =>
  process.getActiveResourcesInfo().includes('TCPSocketWrap')
    ? 'a socket holds the process'
    : 'no socket holds the process'

const TERMINATED = 'terminating connection due to administrator command'
const NO_CRASH = 'no error event of a connection can end the process'

const open = async (subject: Subject, options: pg.PoolConfig = {}): Promise<pg.Pool> =>
  (await subject.open({ max: 1, idleTimeoutMillis: 0, ...options })).pool

export const scenarios: Readonly<Record<string, Scenario>> = {
  'allowExitOnIdle: idle connections do not keep the process alive, lent ones and statements do': {
    run: async (subject, report) => {
      const pool = await open(subject, { allowExitOnIdle: true, max: 2, idleTimeoutMillis: 60_000 })
      const client = await pool.connect()
      report(held())
      client.release()
      report(held())
      const asked = pool.query('SELECT 1 AS one FROM pg_sleep(0.1)')
      await new Promise((resolve) => setImmediate(resolve))
      report(held())
      report((await asked).rows)
    },
    expected: {
      reported: [
        'a socket holds the process',
        'no socket holds the process',
        'a socket holds the process',
        [{ one: 1 }],
      ],
      ended: 'exit 0',
    },
  },
  'without allowExitOnIdle idle connections keep the process alive until the pool ends': {
    run: async (subject, report) => {
      const pool = await open(subject)
      await pool.query('SELECT 1')
      report(held())
      await pool.end()
    },
    expected: {
      reported: ['a socket holds the process'],
      ended: 'exit 0',
    },
    differences: bothPools('idle connections of a cluster never keep the process alive', {
      reported: ['no socket holds the process'],
      ended: 'exit 0',
    }),
  },
  'an idle connection that dies, and nobody listens': {
    run: async (subject, report) => {
      const pool = await open(subject)
      await terminate(subject, await backendOf(pool))
      await until('the pool notices', () => pool.totalCount === 0)
      report('alive')
      await pool.end()
    },
    expected: { reported: [], ended: 'exit 1', uncaught: TERMINATED },
    differences: bothPools(NO_CRASH, { reported: ['alive'], ended: 'exit 0' }),
  },
  'an idle connection that dies, and the pool has a listener': {
    run: async (subject, report) => {
      const pool = await open(subject)
      pool.on('error', (error) => report(`heard ${short(error)}`))
      await terminate(subject, await backendOf(pool))
      await until('the pool notices', () => pool.totalCount === 0)
      report((await pool.query('SELECT 1 AS one')).rows)
      await pool.end()
    },
    expected: { reported: ['heard 57P01', [{ one: 1 }]], ended: 'exit 0' },
  },
  'a lent client that dies, and nobody listens': {
    run: async (subject, report) => {
      const pool = await open(subject)
      const client = await pool.connect()
      await terminate(subject, await backendOf(client))
      await until('the client notices', async () => {
        const next = await outcome(client.query('SELECT 1'))
        return JSON.stringify(next).includes('not queryable')
      })
      report('alive')
      client.release()
      await pool.end()
    },
    expected: { reported: [], ended: 'exit 1', uncaught: TERMINATED },
    differences: bothPools(NO_CRASH, { reported: ['alive'], ended: 'exit 0' }),
  },
  'a pool.query whose connection dies': {
    run: async (subject, report) => {
      const pool = await open(subject)
      const marked = mark()
      const lost = outcome(pool.query(`SELECT pg_sleep(1) ${marked}`), ({ command }) => command)
      await terminate(subject, await running(subject, marked))
      report(await lost)
      report((await pool.query('SELECT 1 AS one')).rows)
      await pool.end()
    },
    expected: {
      reported: [
        {
          rejected: {
            type: 'DatabaseError',
            message: TERMINATED,
            code: '57P01',
            severity: 'FATAL',
          },
        },
        [{ one: 1 }],
      ],
      ended: 'exit 0',
    },
    differences: {
      reader: {
        why: 'a read whose connection is lost is repeated on another node',
        observed: { reported: [{ resolved: 'SELECT' }, [{ one: 1 }]], ended: 'exit 0' },
      },
    },
  },
  'a callback that throws is the caller’s own failure, and the pool goes on': {
    run: async (subject, report) => {
      const pool = await open(subject)
      process.on('uncaughtException', (error) => report(`uncaught ${error.message}`))
      loosely(pool, 'query')('SELECT 1', () => {
        throw new Error('in a callback of query')
      })
      report((await pool.query('SELECT 1 AS one')).rows)
      await until('it is idle', () => pool.idleCount === 1)
      report(counts(pool))
      await pool.end()
    },
    expected: {
      reported: ['uncaught in a callback of query', [{ one: 1 }], '1 open, 1 idle, 0 waiting'],
      ended: 'exit 0',
    },
  },
  'with callbacks there is never an unhandled rejection': {
    run: async (subject, report) => {
      process.on('unhandledRejection', (error) => report(`unhandled ${short(error)}`))
      const pool = await open(subject, { connectionTimeoutMillis: 1_000 })
      const call = async (
        method: 'query' | 'connect' | 'end',
        ...given: unknown[]
      ): Promise<unknown> =>
        (await viaCallback((done) => loosely(pool, method)(...given, done))).given[0]
      report(short(await call('query', 'SELECT 1/0')))
      const client = await pool.connect()
      report(short(await call('connect')))
      report(
        short((await viaCallback((done) => loosely(client, 'query')('SELECT 1/0', done))).given[0]),
      )
      client.release()
      await call('end')
      report(short(await call('query', 'SELECT 1')))
      report(short(await call('connect')))
      report(short(await call('end')))
    },
    expected: {
      reported: [
        '22012',
        'timeout exceeded when trying to connect',
        '22012',
        'Cannot use a pool after calling end on the pool',
        'Cannot use a pool after calling end on the pool',
        'Called end on pool more than once',
      ],
      ended: 'exit 0',
    },
  },
}
