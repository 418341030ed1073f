import type pg from 'pg'
import { closedPort, openProxy } from '../../../support/contract-proxy.ts'
import {
  check,
  counts,
  Events,
  lentOnce,
  lentOnceViaCallback,
  outcome,
  short,
  withPool,
} from '../../../support/contract.ts'

const REFUSED = {
  type: 'Error',
  message: 'connect ECONNREFUSED 127.0.0.1:PORT',
  code: 'ECONNREFUSED',
}
const NO_DATABASE = {
  type: 'DatabaseError',
  message: 'database "no_such_database" does not exist',
  code: '3D000',
  severity: 'FATAL',
}
const WRONG_PASSWORD = {
  type: 'DatabaseError',
  message: 'password authentication failed for user "USER"',
  code: '28P01',
  severity: 'FATAL',
}
const misconfigured = (code: string, cause: unknown): unknown => ({
  type: 'ConfigError',
  message: `replica1: the server refused the connection (${code}): check user, password, database and TLS`,
  code: 'SEGREGATO_CONFIG',
  cause,
})
const NOTHING = '0 open, 0 idle, 0 waiting'
/** What a write gets when replicas answer and none of them is the primary. */
export const noPrimary = (cause: unknown): unknown => ({
  type: 'NoPrimaryError',
  message:
    'No server accepted writes for MS ms: master (no answer), replica1 (in recovery). The write was not sent; repeat it when a primary is back',
  code: 'SEGREGATO_NO_PRIMARY',
  cause,
})
export const withoutTimes = (text: string): string =>
  text.replaceAll(/writes for \d+ ms/g, 'writes for MS ms')
export const PRIMARY_IS_AWAITED =
  'replicas answer, so a primary is waited for, as long as connecting may take'
const PRIMARY_ANSWERS = 'the primary answers when no replica can be reached'

/** What becomes of callers when no connection can be made. */
export const connectingChecks = [
  check(
    'nobody listens on the port: promise, callback and connect',
    async (subject) => {
      const port = await closedPort()
      return withPool(subject, { max: 2, port, connectionTimeoutMillis: 500 }, async (pool) => {
        const { seen } = new Events(pool)
        const shown = JSON.stringify([
          await outcome(pool.query('SELECT 1'), ({ command }) => command),
          await lentOnce(pool),
          await lentOnceViaCallback(pool),
        ])
        return {
          shown: JSON.parse(withoutTimes(shown.replaceAll(String(port), 'PORT'))) as unknown,
          seen,
          after: counts(pool),
        }
      })
    },
    {
      shown: [{ rejected: REFUSED }, { rejected: REFUSED }, { error: REFUSED, value: 'none' }],
      seen: [],
      after: NOTHING,
    },
    {
      writer: {
        why: PRIMARY_IS_AWAITED,
        observed: {
          shown: [
            { rejected: noPrimary(REFUSED) },
            { rejected: noPrimary(REFUSED) },
            { error: noPrimary(REFUSED), value: 'none' },
          ],
          seen: [],
          after: NOTHING,
        },
      },
      reader: {
        why: PRIMARY_ANSWERS,
        observed: {
          shown: [
            { resolved: 'SELECT' },
            { resolved: 'a client' },
            { error: 'none', value: 'given' },
          ],
          seen: [
            'connect A',
            'acquire A',
            'release A',
            'acquire A',
            'release A',
            'acquire A',
            'release A',
          ],
          after: '1 open, 1 idle, 0 waiting',
        },
      },
    },
  ),
  check(
    'a database that is not there, a password that is wrong',
    async (subject) => {
      const refusedBy = (options: pg.PoolConfig) =>
        withPool(subject, { max: 1, ...options }, async (pool) => {
          const failed = JSON.stringify(await outcome(pool.query('SELECT 1')))
          const shown = JSON.parse(failed.replaceAll(subject.server.user, 'USER')) as unknown
          return [shown, await lentOnceViaCallback(pool).then((seen) => typeof seen), counts(pool)]
        })
      return [
        await refusedBy({ database: 'no_such_database' }),
        await refusedBy({ password: 'not this one' }),
      ]
    },
    [
      [{ rejected: NO_DATABASE }, 'object', NOTHING],
      [{ rejected: WRONG_PASSWORD }, 'object', NOTHING],
    ],
    {
      reader: {
        why: 'a mistake in the configuration of all replicas does not hide behind a primary that answers',
        observed: [
          [{ rejected: misconfigured('3D000', NO_DATABASE) }, 'object', NOTHING],
          [{ rejected: misconfigured('28P01', WRONG_PASSWORD) }, 'object', NOTHING],
        ],
      },
    },
  ),
  check(
    'statements that wait for a connection which cannot be made all end with the error',
    async (subject) => {
      const port = await closedPort()
      return withPool(subject, { max: 1, port, connectionTimeoutMillis: 500 }, async (pool) => {
        const all = await Promise.all(
          [1, 2, 3].map(() => pool.query('SELECT 1').then(({ command }) => command, short)),
        )
        return [all, counts(pool)]
      })
    },
    [['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED'], NOTHING],
    {
      writer: {
        why: PRIMARY_IS_AWAITED,
        observed: [
          ['SEGREGATO_NO_PRIMARY', 'SEGREGATO_NO_PRIMARY', 'SEGREGATO_NO_PRIMARY'],
          NOTHING,
        ],
      },
      reader: {
        why: PRIMARY_ANSWERS,
        observed: [['SELECT', 'SELECT', 'SELECT'], '1 open, 1 idle, 0 waiting'],
      },
    },
  ),
  check(
    'a password that is a function is asked at each new connection, and its error is the caller’s',
    async (subject) => {
      let asked = 0
      let open = true
      const password = async (): Promise<string> => {
        asked++
        if (!open) throw new RangeError('the vault is closed')
        return subject.server.password
      }
      // A cluster has a connection of its own beside those of the pool, which asks too.
      const grew: boolean[] = []
      const asking = async <T>(work: () => Promise<T>): Promise<T> => {
        const before = asked
        const result = await work()
        grew.push(asked > before)
        return result
      }
      // pg leaves the refused connection to the server's authentication_timeout; the proxy cuts it at the end.
      const proxy = await openProxy(subject.server)
      const { host, port } = proxy
      try {
        return await withPool(subject, { max: 3, host, port, password }, async (pool) => {
          const clients = [await asking(() => pool.connect()), await asking(() => pool.connect())]
          open = false
          const refused = await asking(() => outcome(pool.query('SELECT 1')))
          for (const client of clients) client.release()
          return { asked: grew, refused, after: counts(pool) }
        })
      } finally {
        await proxy.close()
      }
    },
    {
      asked: [true, true, true],
      refused: { rejected: { type: 'RangeError', message: 'the vault is closed' } },
      after: '2 open, 2 idle, 0 waiting',
    },
    {
      reader: {
        why: 'when no replica can be logged in to, that is a mistake and not a reason to read from the primary',
        observed: {
          asked: [true, true, true],
          refused: {
            rejected: {
              type: 'ConfigError',
              message:
                'replica1: the server refused the connection (RangeError): check user, password, database and TLS',
              code: 'SEGREGATO_CONFIG',
              cause: { type: 'RangeError', message: 'the vault is closed' },
            },
          },
          after: '2 open, 2 idle, 0 waiting',
        },
      },
    },
  ),
]
