import { inspect } from 'node:util'
import { Client, Pool, Result } from 'pg'
import { check, isEmitter, outcome, withPool } from '../../../support/contract.ts'

const CANARY = 'canary-4f1d'

/** Everything that can be printed about an object. */
const printed = (value: unknown): string => {
  const seen = new Set<unknown>()
  const json = JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each !== 'object' || each === null) return each
    if (seen.has(each)) return undefined
    seen.add(each)
    return each
  })
  return [inspect(value, { depth: 20 }), inspect(value), String(value), json ?? ''].join('\n')
}

export const identityChecks = [
  check(
    'identity: a pg.Pool to those who test for one',
    (subject) =>
      withPool(subject, {}, async (pool) => ({
        instance: pool instanceof Pool,
        emitter: isEmitter(pool),
        // How several ORMs tell a pool from a client.
        named: pool.constructor.name.includes('Pool'),
        client: pool instanceof Client,
        methods: (['query', 'connect', 'end', 'on', 'once', 'off', 'emit'] as const).map(
          (name) => typeof pool[name],
        ),
        counts: [pool.totalCount, pool.idleCount, pool.waitingCount, pool.expiredCount],
        states: [pool.ending, pool.ended],
        options: typeof pool.options,
      })),
    {
      instance: true,
      emitter: true,
      named: true,
      client: false,
      methods: Array.from({ length: 7 }, () => 'function'),
      counts: [0, 0, 0, 0],
      states: [false, false],
      options: 'object',
    },
  ),
  check(
    'identity: results are what pg gives',
    (subject) =>
      withPool(subject, {}, async (pool) => {
        const result = await pool.query('SELECT 1 AS one, now() AS moment')
        return {
          instance: result instanceof Result,
          oid: result.oid,
          fields: result.fields.map(({ name, dataTypeID, format }) => ({
            name,
            dataTypeID,
            format,
          })),
        }
      }),
    {
      instance: true,
      oid: null,
      fields: [
        { name: 'one', dataTypeID: 23, format: 'text' },
        { name: 'moment', dataTypeID: 1184, format: 'text' },
      ],
    },
  ),
  check(
    'identity: no password in what can be printed',
    async (subject) => {
      const shown = await withPool(subject, { max: 1, password: CANARY }, async (pool) => {
        let text = printed(pool)
        text += JSON.stringify(await outcome(pool.query('SELECT 1')))
        text += printed(await pool.connect().catch((error: unknown) => error))
        return text + printed(pool)
      })
      const { password } = subject.server
      const inUse = await withPool(subject, { max: 1 }, async (pool) => {
        const client = await pool.connect()
        const text = printed(client) + printed(pool)
        client.release()
        return text
      })
      return {
        canary: shown.includes(CANARY),
        password: inUse.includes(password),
        anything: shown.length > 1_000,
      }
    },
    { canary: false, password: false, anything: true },
  ),
]
