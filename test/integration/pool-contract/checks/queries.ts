import type pg from 'pg'
import {
  check,
  counts,
  facts,
  loosely,
  outcome,
  viaCallback,
  withPool,
} from '../../../support/contract.ts'

const ONE = { command: 'SELECT', rowCount: 1, rows: [{ one: 1 }], fields: ['one'] }

const asResult = (given: unknown[]): unknown => ({
  error: given[0] ?? null,
  result: facts(given[1] as pg.QueryResult),
})

export const queryChecks = [
  check(
    'query: text, text with values, a config, a config with values beside it',
    (subject) =>
      withPool(subject, {}, async (pool) => [
        facts(await pool.query('SELECT 1 AS one')),
        facts(await pool.query('SELECT $1::int AS one', [1])),
        facts(await pool.query({ text: 'SELECT $1::int AS one', values: [1] })),
        facts(await pool.query({ text: 'SELECT $1::int AS one' }, [1])),
        facts(await pool.query('SELECT 1 AS one', [])),
      ]),
    [ONE, ONE, ONE, ONE, ONE],
  ),
  check(
    'query: the same forms with a callback return undefined and call it once with no error',
    (subject) =>
      withPool(subject, {}, async (pool) => {
        const query = loosely(pool, 'query')
        const forms = [
          ['SELECT 1 AS one'],
          ['SELECT $1::int AS one', [1]],
          [{ text: 'SELECT $1::int AS one', values: [1] }],
          [{ text: 'SELECT $1::int AS one' }, [1]],
        ]
        const seen: unknown[] = []
        for (const form of forms) {
          const { returned, given } = await viaCallback((done) => query(...form, done))
          seen.push({ returned: String(returned), ...(asResult(given) as object) })
        }
        return seen
      }),
    Array.from({ length: 4 }, () => ({ returned: 'undefined', error: null, result: ONE })),
  ),
  check(
    'query: rows as arrays, with two columns of one name',
    (subject) =>
      withPool(subject, {}, async (pool) =>
        facts(
          await pool.query({
            text: 'SELECT 1 AS a, $1::text AS a',
            values: ['x'],
            rowMode: 'array',
          }),
        ),
      ),
    { command: 'SELECT', rowCount: 1, rows: [[1, 'x']], fields: ['a', 'a'] },
  ),
  check(
    'query: parsers given with the statement',
    (subject) =>
      withPool(subject, {}, async (pool) => {
        const types = {
          getTypeParser: () => (value: string) => `<${value}>`,
        } as unknown as pg.CustomTypesConfig
        return facts(await pool.query({ text: 'SELECT 7 AS seven', types }))
      }),
    { command: 'SELECT', rowCount: 1, rows: [{ seven: '<7>' }], fields: ['seven'] },
  ),
  check(
    'query: parsers given with the pool',
    async (subject) => {
      const types = {
        getTypeParser: () => (value: string) => `<${value}>`,
      } as unknown as pg.CustomTypesConfig
      return withPool(subject, { types }, async (pool) =>
        facts(await pool.query('SELECT 7 AS seven')),
      )
    },
    { command: 'SELECT', rowCount: 1, rows: [{ seven: '<7>' }], fields: ['seven'] },
  ),
  check(
    'query: a named statement is prepared once on a connection',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const named = (value: number) => ({
          name: 'plus',
          text: 'SELECT $1::int + 1 AS next',
          values: [value],
        })
        return [
          facts(await pool.query(named(1))),
          facts(await pool.query(named(2))),
          (await pool.query(`SELECT name FROM pg_prepared_statements`)).rows,
        ]
      }),
    [
      { command: 'SELECT', rowCount: 1, rows: [{ next: 2 }], fields: ['next'] },
      { command: 'SELECT', rowCount: 1, rows: [{ next: 3 }], fields: ['next'] },
      [{ name: 'plus' }],
    ],
  ),
  check(
    'query: one name for two texts is refused, and costs the connection',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => [
        facts(await pool.query({ name: 'same', text: 'SELECT 1 AS one' })),
        await outcome(pool.query({ name: 'same', text: 'SELECT 2 AS two' })),
        counts(pool),
      ]),
    [
      ONE,
      {
        rejected: {
          type: 'Error',
          message: "Prepared statements must be unique - 'same' was used for a different statement",
        },
      },
      '0 open, 0 idle, 0 waiting',
    ],
  ),
  check(
    'query: a named statement can be run by its name alone',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        await pool.query({ name: 'later', text: 'SELECT $1::int AS one', values: [0] })
        return facts(await pool.query({ name: 'later', values: [1] } as unknown as pg.QueryConfig))
      }),
    ONE,
  ),
  check(
    'query: values of every kind go there and come back',
    (subject) =>
      withPool(subject, {}, async (pool) => {
        const { rows } = await pool.query<Record<string, unknown>>(
          `SELECT $1::int8 AS big, $2::numeric AS exact, $3::float8 AS float, $4::bool AS truth, $5::text AS nothing,
                  $6::jsonb AS json, $7::int[] AS list, $8::timestamptz AS moment, $9::bytea AS bytes, $10::text AS missing`,
          [
            '9007199254740993',
            '0.10',
            0.5,
            true,
            null,
            { a: [1] },
            [1, 2],
            new Date('2024-02-29T12:00:00Z'),
            Buffer.from('ff00', 'hex'),
            undefined,
          ],
        )
        const [row] = rows
        const bytes = row?.['bytes']
        return {
          ...row,
          bytes: Buffer.isBuffer(bytes) ? bytes.toString('hex') : bytes,
          keys: Object.keys(row ?? {}).length,
        }
      }),
    {
      big: '9007199254740993',
      exact: '0.10',
      float: 0.5,
      truth: true,
      nothing: null,
      json: { a: [1] },
      list: [1, 2],
      moment: new Date('2024-02-29T12:00:00Z'),
      bytes: 'ff00',
      missing: null,
      keys: 10,
    },
  ),
  check(
    'query: several statements in one text give a list of results',
    (subject) =>
      withPool(subject, {}, async (pool) => {
        const results = (await pool.query(
          `SELECT 1 AS one; SELECT 'b' AS b; SET LOCAL work_mem TO '1MB'`,
        )) as unknown
        return (results as pg.QueryResult[]).map(facts)
      }),
    [
      ONE,
      { command: 'SELECT', rowCount: 1, rows: [{ b: 'b' }], fields: ['b'] },
      { command: 'SET', rowCount: null, rows: [], fields: [] },
    ],
  ),
  check(
    'query: an empty text, a comment, a statement without rows',
    (subject) =>
      withPool(subject, {}, async (pool) => [
        facts(await pool.query('')),
        facts(await pool.query('-- nothing')),
        facts(await pool.query('SELECT 1 AS one WHERE false')),
        facts(await pool.query('SELECT')),
      ]),
    [
      { command: null, rowCount: null, rows: [], fields: [] },
      { command: null, rowCount: null, rows: [], fields: [] },
      { command: 'SELECT', rowCount: 0, rows: [], fields: ['one'] },
      { command: 'SELECT', rowCount: 1, rows: [{}], fields: [] },
    ],
  ),
  check(
    'query: what it is not made for is an error, and the pool goes on',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const query = loosely(pool, 'query')
        const promised = (...given: unknown[]) => outcome(query(...given) as Promise<unknown>)
        const asFunction = await viaCallback((done) => query(done))
        return {
          function: { returned: String(asFunction.returned), error: String(asFunction.given[0]) },
          null: await promised(null),
          undefined: await promised(undefined),
          neither: await promised({}),
          values: await promised('SELECT $1::int', 'no array'),
          next: facts(await pool.query('SELECT 1 AS one')),
        }
      }),
    {
      function: {
        returned: 'undefined',
        error: 'Error: Passing a function as the first parameter to pool.query is not supported',
      },
      null: {
        rejected: { type: 'TypeError', message: 'Client was passed a null or undefined query' },
      },
      undefined: {
        rejected: { type: 'TypeError', message: 'Client was passed a null or undefined query' },
      },
      neither: {
        rejected: {
          type: 'Error',
          message: 'A query must have either text or a name. Supplying neither is unsupported.',
        },
      },
      values: { rejected: { type: 'Error', message: 'Query values must be an array' } },
      next: ONE,
    },
  ),
  check(
    'query: a value that cannot be sent rejects with its own error',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const value = {
          toPostgres: () => {
            throw new RangeError('not this value')
          },
        }
        return [
          await outcome(pool.query('SELECT $1::text AS one', [value])),
          facts(await pool.query('SELECT $1::int AS one', [1])),
        ]
      }),
    [{ rejected: { type: 'RangeError', message: 'not this value' } }, ONE],
  ),
  check(
    'query: a parser that throws rejects with its own error',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const types = {
          getTypeParser: () => () => {
            throw new RangeError('cannot be parsed')
          },
        } as unknown as pg.CustomTypesConfig
        return [
          await outcome(pool.query({ text: 'SELECT 1 AS one FROM generate_series(1, 3)', types })),
          facts(await pool.query('SELECT 1 AS one')),
        ]
      }),
    [{ rejected: { type: 'RangeError', message: 'cannot be parsed' } }, ONE],
  ),
  check(
    'query: more at once than connections, each gets its own answer',
    (subject) =>
      withPool(subject, { max: 3 }, async (pool) => {
        const numbers = Array.from({ length: 20 }, (_, index) => index)
        const results = await Promise.all(
          numbers.map((n) => pool.query<{ n: number }>('SELECT $1::int AS n', [n])),
        )
        return { answers: results.map(({ rows }) => rows[0]?.n).join(' '), after: counts(pool) }
      }),
    {
      answers: '0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19',
      after: '3 open, 3 idle, 0 waiting',
    },
  ),
  check(
    'query: on one connection they end in the order in which they were asked',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const order: string[] = []
        const ask = async (name: string, text: string): Promise<void> => {
          await pool.query(text)
          order.push(name)
        }
        await Promise.all([
          ask('slow', 'SELECT pg_sleep(0.05)'),
          ask('second', 'SELECT 1'),
          ask('third', 'SELECT 1'),
        ])
        return order
      }),
    ['slow', 'second', 'third'],
  ),
  check(
    'query: the list of values is not changed',
    (subject) =>
      withPool(subject, {}, async (pool) => {
        const values = Object.freeze([1, Object.freeze({ a: 1 })]) as unknown[]
        const config = Object.freeze({ text: 'SELECT $1::int AS one, $2::jsonb AS json', values })
        return facts(await pool.query(config))
      }),
    { command: 'SELECT', rowCount: 1, rows: [{ one: 1, json: { a: 1 } }], fields: ['one', 'json'] },
  ),
]
