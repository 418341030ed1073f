import { DatabaseError } from 'pg'
import {
  beside,
  check,
  counts,
  loosely,
  outcome,
  mark,
  running,
  told,
  until,
  viaCallback,
  withPool,
} from '../../../support/contract.ts'

const DIVISION = {
  type: 'DatabaseError',
  message: 'division by zero',
  code: '22012',
  severity: 'ERROR',
}

const READ_ONLY = {
  type: 'DatabaseError',
  message: 'cannot execute CREATE TABLE in a read-only transaction',
  code: '25006',
  severity: 'ERROR',
}

export const errorChecks = [
  check(
    'error: of PostgreSQL, with all that it says',
    (subject) =>
      withPool(subject, {}, async (pool) => {
        try {
          await pool.query('SELECT length(1, $1)', ['x'])
          return 'no error'
        } catch (error) {
          if (!(error instanceof DatabaseError)) return 'another error'
          const {
            name,
            code,
            severity,
            message,
            position,
            hint,
            routine,
            detail,
            table,
            column,
            constraint,
          } = error
          return {
            name,
            code,
            severity,
            message,
            position,
            hint,
            routine,
            detail,
            table,
            column,
            constraint,
            isError: error instanceof Error,
          }
        }
      }),
    {
      name: 'error',
      code: '42883',
      severity: 'ERROR',
      message: 'function length(integer, unknown) does not exist',
      position: '8',
      hint: 'No function matches the given name and argument types. You might need to add explicit type casts.',
      routine: 'ParseFuncOrColumn',
      detail: undefined,
      table: undefined,
      column: undefined,
      constraint: undefined,
      isError: true,
    },
  ),
  check(
    'error: as a promise and with a callback, its connection is closed',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const promised = await outcome(pool.query('SELECT 1/0'))
        const after = counts(pool)
        const { returned, given } = await viaCallback((done) =>
          loosely(pool, 'query')('SELECT 1/0', done),
        )
        const withValues = await viaCallback((done) =>
          loosely(pool, 'query')('SELECT 1/$1::int', [0], done),
        )
        return {
          promised,
          after,
          returned: String(returned),
          called: told(given),
          withValues: told(withValues.given),
          end: counts(pool),
        }
      }),
    {
      promised: { rejected: DIVISION },
      after: '0 open, 0 idle, 0 waiting',
      returned: 'undefined',
      called: { error: DIVISION, value: 'none' },
      withValues: { error: DIVISION, value: 'none' },
      end: '0 open, 0 idle, 0 waiting',
    },
  ),
  check(
    'error: many wrong statements leave no connection behind and the pool usable',
    (subject) =>
      withPool(subject, { max: 5 }, async (pool) => {
        const wrong = Array.from({ length: 20 }, () => outcome(pool.query('asldkfjasldkf')))
        const codes = new Set((await Promise.all(wrong)).map((one) => JSON.stringify(one)))
        await until('no connection is left', () => pool.totalCount === 0)
        const rows = (await pool.query('SELECT 1 AS one')).rows
        return { codes: [...codes], rows, after: counts(pool) }
      }),
    {
      codes: [
        JSON.stringify({
          rejected: {
            type: 'DatabaseError',
            message: 'syntax error at or near "asldkfjasldkf"',
            code: '42601',
            severity: 'ERROR',
          },
        }),
      ],
      rows: [{ one: 1 }],
      after: '1 open, 1 idle, 0 waiting',
    },
  ),
  check(
    'error: on a client, it can go on and comes back to the pool',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const failed = await outcome(client.query('SELECT 1/$1::int', [0]))
        const rows = (await client.query('SELECT 1 AS one')).rows
        client.release()
        return { failed, rows, after: counts(pool) }
      }),
    { failed: { rejected: DIVISION }, rows: [{ one: 1 }], after: '1 open, 1 idle, 0 waiting' },
  ),
  check(
    'error: of one statement does not reach those that wait behind it',
    (subject) =>
      withPool(subject, { max: 1 }, (pool) =>
        Promise.all([
          outcome(pool.query('SELECT 1 AS n'), ({ rows }) => rows),
          outcome(pool.query('SELECT 1/0')),
          outcome(pool.query('SELECT 3 AS n'), ({ rows }) => rows),
        ]),
      ),
    [{ resolved: [{ n: 1 }] }, { rejected: DIVISION }, { resolved: [{ n: 3 }] }],
  ),
  check(
    'error: a statement cancelled on the server',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const marked = mark()
        const cancelled = outcome(pool.query(`SELECT pg_sleep(5) ${marked}`))
        await beside(subject, 'SELECT pg_cancel_backend($1)', [await running(subject, marked)])
        return [await cancelled, (await pool.query('SELECT 1 AS one')).rows]
      }),
    [
      {
        rejected: {
          type: 'DatabaseError',
          message: 'canceling statement due to user request',
          code: '57014',
          severity: 'ERROR',
        },
      },
      [{ one: 1 }],
    ],
  ),
  check(
    'error: of a write in a read-only transaction',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        await client.query('BEGIN READ ONLY')
        const refused = await outcome(client.query('CREATE TABLE never ()'))
        await client.query('ROLLBACK')
        client.release()
        return { refused, after: counts(pool) }
      }),
    { refused: { rejected: READ_ONLY }, after: '1 open, 1 idle, 0 waiting' },
    {
      reader: {
        why: 'SQLSTATE 25006 on the reader is the same error that read models throw',
        observed: {
          refused: {
            rejected: {
              type: 'StrictReadModelError',
              message: 'The Read Model is not allowed to perform Write operations: CREATE TABLE',
              code: 'SEGREGATO_STRICT_READ',
              cause: READ_ONLY,
            },
          },
          after: '1 open, 1 idle, 0 waiting',
        },
      },
    },
  ),
]
