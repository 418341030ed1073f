import type pg from 'pg'
import {
  check,
  counts,
  Events,
  lentOnceViaCallback,
  outcome,
  pause,
  withPool,
} from '../../../support/contract.ts'

export const hookChecks = [
  check(
    'verify: is asked once about each new connection',
    async (subject) => {
      const asked: string[] = []
      const verify: pg.PoolConfig['verify'] = (client, done) => {
        asked.push(typeof client.query)
        done()
      }
      return withPool(subject, { max: 2, verify }, async (pool) => {
        await pool.query('SELECT 1')
        await pool.query('SELECT 1')
        const clients = await Promise.all([pool.connect(), pool.connect()])
        for (const client of clients) client.release()
        return [asked, counts(pool)]
      })
    },
    [['function', 'function'], '2 open, 2 idle, 0 waiting'],
  ),
  check(
    'verify: what it refuses with is what the caller gets, and the connection is closed',
    async (subject) => {
      const refusal = new RangeError('not this one')
      let refuse = true
      const verify: pg.PoolConfig['verify'] = (_client, done) => done(refuse ? refusal : undefined)
      return withPool(subject, { max: 1, verify }, async (pool) => {
        const events = new Events(pool)
        const asked = await outcome(pool.query('SELECT 1'))
        await events.until('remove A')
        const lent = await pool.connect().catch((error: unknown) => error === refusal)
        await events.until('remove B')
        const called = await lentOnceViaCallback(pool)
        await events.until('remove C')
        refuse = false
        return {
          asked,
          lent,
          called,
          seen: events.seen,
          rows: (await pool.query('SELECT 1 AS one')).rows,
        }
      })
    },
    {
      asked: { rejected: { type: 'RangeError', message: 'not this one' } },
      lent: true,
      called: { error: { type: 'RangeError', message: 'not this one' }, value: 'none' },
      seen: [
        'connect A',
        'acquire A',
        'release A with not this one',
        'remove A',
        'connect B',
        'acquire B',
        'release B with not this one',
        'remove B',
        'connect C',
        'acquire C',
        'release C with not this one',
        'remove C',
        'connect D',
        'acquire D',
        'release D',
      ],
      rows: [{ one: 1 }],
    },
  ),
  check(
    'verify: may take its time and use the client',
    async (subject) => {
      const order: string[] = []
      const verify: pg.PoolConfig['verify'] = (client, done) => {
        const ask = async (): Promise<void> => {
          await pause(20)
          await client.query(`SET work_mem TO '11MB'`)
          order.push('verified')
          done()
        }
        ask().catch(done)
      }
      return withPool(subject, { max: 1, verify }, async (pool) => {
        const { rows } = await pool.query('SHOW work_mem')
        order.push('answered')
        return [rows, order]
      })
    },
    [[{ work_mem: '11MB' }], ['verified', 'answered']],
  ),
  check(
    'verify: a refusal does not reach those who wait for another connection',
    async (subject) => {
      let first = true
      const verify: pg.PoolConfig['verify'] = (_client, done) => {
        done(first ? new Error('not the first') : undefined)
        first = false
      }
      return withPool(subject, { max: 1, verify }, async (pool) =>
        Promise.all([
          outcome(pool.query('SELECT 1'), () => 'fine'),
          outcome(pool.query('SELECT 1'), () => 'fine'),
        ]),
      )
    },
    [{ rejected: { type: 'Error', message: 'not the first' } }, { resolved: 'fine' }],
  ),
  check(
    'onConnect: is awaited before the connection is used, once for each, before the connect event',
    async (subject) => {
      const order: string[] = []
      const setUp = async (client: pg.ClientBase): Promise<void> => {
        await client.query(`SET work_mem TO '13MB'`)
        order.push('onConnect')
      }
      const onConnect = (client: pg.ClientBase): unknown => setUp(client)
      return withPool(subject, { max: 1, onConnect }, async (pool) => {
        pool.on('connect', () => order.push('connect'))
        pool.on('acquire', () => order.push('acquire'))
        const { rows } = await pool.query('SHOW work_mem')
        await pool.query('SELECT 1')
        return [rows, order]
      })
    },
    [[{ work_mem: '13MB' }], ['onConnect', 'connect', 'acquire', 'acquire']],
  ),
  check(
    'onConnect: may return nothing',
    async (subject) => {
      let calls = 0
      return withPool(subject, { max: 3, onConnect: () => void calls++ }, async (pool) => {
        await Promise.all([pool.query('SELECT 1'), pool.query('SELECT 1')])
        return [calls, counts(pool)]
      })
    },
    [2, '2 open, 2 idle, 0 waiting'],
  ),
  check(
    'onConnect: what it throws or rejects with is what the caller gets, and there is no connect event',
    async (subject) => {
      const thrown = new RangeError('thrown')
      const hooks: Array<() => unknown> = [
        () => {
          throw thrown
        },
        () => Promise.reject(new TypeError('rejected')),
        () => undefined,
      ]
      let turn = 0
      const onConnect = (() => hooks[turn++]?.()) as (client: pg.ClientBase) => void
      return withPool(subject, { max: 1, onConnect }, async (pool) => {
        const { seen } = new Events(pool)
        const same = await pool.connect().catch((error: unknown) => error === thrown)
        const after = counts(pool)
        const rejected = await outcome(pool.query('SELECT 1'))
        const rows = (await pool.query('SELECT 1 AS one')).rows
        return { same, after, rejected, rows, seen }
      })
    },
    {
      same: true,
      after: '0 open, 0 idle, 0 waiting',
      rejected: { rejected: { type: 'TypeError', message: 'rejected' } },
      rows: [{ one: 1 }],
      seen: ['connect A', 'acquire A', 'release A'],
    },
  ),
  check(
    'onConnect: a failure makes room for one that waits',
    async (subject) => {
      let first = true
      const onConnect = (): void => {
        if (!first) return
        first = false
        throw new Error('not the first')
      }
      return withPool(subject, { max: 1, onConnect }, async (pool) => [
        await Promise.all([
          outcome(pool.query('SELECT 1'), () => 'fine'),
          outcome(pool.query('SELECT 1'), () => 'fine'),
        ]),
        counts(pool),
      ])
    },
    [
      [{ rejected: { type: 'Error', message: 'not the first' } }, { resolved: 'fine' }],
      '1 open, 1 idle, 0 waiting',
    ],
  ),
]
