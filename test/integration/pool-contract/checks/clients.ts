import type pg from 'pg'
import { Client, types } from 'pg'
import {
  backendOf,
  bothPools,
  check,
  counts,
  facts,
  Letters,
  loosely,
  outcome,
  until,
  viaCallback,
  withPool,
} from '../../../support/contract.ts'

const RELEASED_TWICE = {
  rejected: {
    type: 'Error',
    message: 'Release called on client which has already been released to the pool.',
  },
}

export const clientChecks = [
  check(
    'connect: as a promise',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const seen = {
          client: client instanceof Client,
          release: typeof client.release,
          processId:
            (await backendOf(client)) === (client as unknown as { processID: number }).processID,
          ref: typeof (client as unknown as { ref: unknown }).ref,
          unref: typeof (client as unknown as { unref: unknown }).unref,
          database: (client as unknown as pg.Client).database === subject.server.database,
          user: (client as unknown as pg.Client).user === subject.server.user,
          during: counts(pool),
        }
        client.release()
        return { ...seen, after: counts(pool) }
      }),
    {
      client: true,
      release: 'function',
      processId: true,
      ref: 'function',
      unref: 'function',
      database: true,
      user: true,
      during: '1 open, 0 idle, 0 waiting',
      after: '1 open, 1 idle, 0 waiting',
    },
  ),
  check(
    'connect: with a callback it gives client and release, and returns undefined',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const { returned, given } = await viaCallback((done) => loosely(pool, 'connect')(done))
        const [error, client, release] = given as [unknown, pg.PoolClient, () => void]
        const during = counts(pool)
        const rows = (await client.query('SELECT 1 AS one')).rows
        release()
        return {
          returned: String(returned),
          error: error ?? 'none',
          rows,
          during,
          after: counts(pool),
        }
      }),
    {
      returned: 'undefined',
      error: 'none',
      rows: [{ one: 1 }],
      during: '1 open, 0 idle, 0 waiting',
      after: '1 open, 1 idle, 0 waiting',
    },
  ),
  check(
    'connect: the release of a callback belongs to its checkout and not to the next one',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const { given } = await viaCallback((done) => loosely(pool, 'connect')(done))
        const [, client, release] = given as [unknown, pg.PoolClient, () => void]
        release()
        const twice = await outcome((async () => release())())
        const next = await pool.connect()
        const stale = await outcome((async () => release())())
        const during = counts(pool)
        if (pool.idleCount === 0) next.release()
        return { twice, same: next === client, stale, during }
      }),
    {
      twice: RELEASED_TWICE,
      same: true,
      stale: RELEASED_TWICE,
      during: '1 open, 0 idle, 0 waiting',
    },
  ),
  check(
    'release: twice is an error, by each of its two names; a new checkout has a new one',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const release = (): void => firstRelease()
        const firstRelease = client.release.bind(client)
        release()
        const twice = await outcome((async () => release())())
        const again = await pool.connect()
        const old = await outcome((async () => release())())
        again.release()
        const other = await outcome((async () => again.release())())
        return { twice, same: again === client, old, other, after: counts(pool) }
      }),
    {
      twice: RELEASED_TWICE,
      same: true,
      old: RELEASED_TWICE,
      other: RELEASED_TWICE,
      after: '1 open, 1 idle, 0 waiting',
    },
  ),
  check(
    'release: with an error or true the connection is closed, with nothing or false it is kept',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const letters = new Letters()
        const seen: string[] = []
        for (const reason of [undefined, false, true, new Error('broken'), undefined]) {
          const client = await pool.connect()
          seen.push(letters.of(await backendOf(client)))
          client.release(reason)
          seen.push(counts(pool))
        }
        return seen
      }),
    [
      'A',
      '1 open, 1 idle, 0 waiting',
      'A',
      '1 open, 1 idle, 0 waiting',
      'A',
      '0 open, 0 idle, 0 waiting',

      'B',
      '0 open, 0 idle, 0 waiting',
      'C',
      '1 open, 1 idle, 0 waiting',
    ],
  ),
  check(
    'release: a closed connection is gone on the server too',
    (subject) =>
      withPool(subject, { max: 2 }, async (pool) => {
        const client = await pool.connect()
        const gone = await backendOf(client)
        client.release(true)
        await until('the server process ends', async () => {
          const { rows } = await pool.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [gone])
          return rows.length === 0
        })
        return counts(pool)
      }),
    '1 open, 1 idle, 0 waiting',
  ),
  check(
    'client: all call forms of query',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const viaDone = await viaCallback((done) =>
          loosely(client, 'query')('SELECT $1::int AS one', [1], done),
        )
        const plain = await viaCallback((done) => loosely(client, 'query')('SELECT 1 AS one', done))
        const failed = await viaCallback((done) => loosely(client, 'query')('SELECT nothing', done))
        const seen = [
          facts(await client.query('SELECT 1 AS one')),
          facts(await client.query({ text: 'SELECT $1::int AS one', values: [1] })),
          facts(
            await client.query({ text: 'SELECT $1::int AS one', values: [1], rowMode: 'array' }),
          ),
          String(viaDone.returned),
          facts(viaDone.given[1] as pg.QueryResult),
          facts(plain.given[1] as pg.QueryResult),
          String(failed.given[0]),
        ]
        client.release()
        return seen
      }),
    [
      { command: 'SELECT', rowCount: 1, rows: [{ one: 1 }], fields: ['one'] },
      { command: 'SELECT', rowCount: 1, rows: [{ one: 1 }], fields: ['one'] },
      { command: 'SELECT', rowCount: 1, rows: [[1]], fields: ['one'] },
      'undefined',
      { command: 'SELECT', rowCount: 1, rows: [{ one: 1 }], fields: ['one'] },
      { command: 'SELECT', rowCount: 1, rows: [{ one: 1 }], fields: ['one'] },
      'error: column "nothing" does not exist',
    ],
  ),
  check(
    'client: stays on one connection until released',
    (subject) =>
      withPool(subject, { max: 3 }, async (pool) => {
        const letters = new Letters()
        const client = await pool.connect()
        const other = await pool.connect()
        const seen: string[] = []
        for (const each of [client, other, client, other])
          seen.push(letters.of(await backendOf(each)))
        seen.push(letters.of(await backendOf(pool)))
        client.release()
        other.release()
        return seen.join(' ')
      }),
    'A B A B C',
  ),
  check(
    'client: a transaction with a savepoint and an error, and its status at each step',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const seen: unknown[] = []
        const status = (): string =>
          (client as unknown as { getTransactionStatus(): string }).getTransactionStatus()
        const step = async (text: string): Promise<void> => {
          const ended = await outcome(client.query(text), ({ command }) => command)
          // An error arrives before the status does.
          if ('rejected' in (ended as object))
            await until('the transaction is aborted', () => status() === 'E')
          seen.push([ended, status()])
        }
        await step('BEGIN ISOLATION LEVEL REPEATABLE READ')
        await step('SELECT 1')
        await step('SAVEPOINT a')
        await step('SELECT 1/0')
        await step('SELECT 1')
        await step('ROLLBACK TO SAVEPOINT a')
        await step('RELEASE SAVEPOINT a')
        await step('COMMIT')
        client.release()
        return seen
      }),
    [
      [{ resolved: 'BEGIN' }, 'T'],
      [{ resolved: 'SELECT' }, 'T'],
      [{ resolved: 'SAVEPOINT' }, 'T'],
      [
        {
          rejected: {
            type: 'DatabaseError',
            message: 'division by zero',
            code: '22012',
            severity: 'ERROR',
          },
        },
        'E',
      ],
      [
        {
          rejected: {
            type: 'DatabaseError',
            message:
              'current transaction is aborted, commands ignored until end of transaction block',
            code: '25P02',
            severity: 'ERROR',
          },
        },
        'E',
      ],
      [{ resolved: 'ROLLBACK' }, 'T'],
      [{ resolved: 'RELEASE' }, 'T'],
      [{ resolved: 'COMMIT' }, 'I'],
    ],
  ),
  check(
    'client: what is set on a connection stays there',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        await client.query(`SET work_mem TO '7MB'`)
        client.release()
        return (await pool.query('SHOW work_mem')).rows
      }),
    [{ work_mem: '7MB' }],
  ),
  check(
    'client: statements that are not awaited run in order',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const results = await Promise.all([
          outcome(
            client.query('SELECT pg_sleep(0.02), 1 AS n'),
            ({ rows }) => (rows[0] as { n: number }).n,
          ),
          outcome(client.query('SELECT 1/0')),
          outcome(client.query('SELECT 3 AS n'), ({ rows }) => (rows[0] as { n: number }).n),
        ])
        client.release()
        return results
      }),
    [
      { resolved: 1 },
      {
        rejected: {
          type: 'DatabaseError',
          message: 'division by zero',
          code: '22012',
          severity: 'ERROR',
        },
      },
      { resolved: 3 },
    ],
  ),
  check(
    'client: notices reach its listeners, parsers set on it are used, identifiers and literals are quoted',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const notices: (string | undefined)[] = []
        client.on('notice', ({ message }) => notices.push(message))
        // The one statement that makes any server say something beside its answer.
        await client.query('ROLLBACK')
        client.setTypeParser(types.builtins.INT4, (value: string) => `<${value}>`)
        const seen = {
          notices,
          rows: (await client.query('SELECT 7::int AS seven')).rows,
          identifier: client.escapeIdentifier('a"b'),
          literal: client.escapeLiteral(`a'b\\`),
        }
        client.release(true)
        return seen
      }),
    {
      notices: ['there is no transaction in progress'],
      rows: [{ seven: '<7>' }],
      identifier: '"a""b"',
      literal: ` E'a''b\\\\'`,
    },
  ),
  check(
    'client: ended by its user, then released, it is not lent again',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const letters = new Letters()
        const client = await pool.connect()
        const first = letters.of(await backendOf(client))
        await (client as unknown as pg.Client).end()
        const closed = await outcome(client.query('SELECT 1'))
        client.release()
        return [first, closed, counts(pool), letters.of(await backendOf(pool))]
      }),
    [
      'A',
      { rejected: { type: 'Error', message: 'Client was closed and is not queryable' } },
      '0 open, 0 idle, 0 waiting',
      'B',
    ],
  ),
  check(
    'client: has no listener for errors left from the pool while it is lent, and one while it is idle',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const lent = client.listenerCount('error')
        client.release()
        return [lent, client.listenerCount('error')]
      }),
    [0, 1],
    bothPools(
      'every client has a listener of the cluster as well, so that its failure cannot end the process',
      [1, 2],
    ),
  ),
]
