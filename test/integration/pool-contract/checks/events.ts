import type pg from 'pg'
import {
  check,
  counts,
  describeError,
  Events,
  Letters,
  outcome,
  short,
  withPool,
} from '../../../support/contract.ts'

export const eventChecks = [
  check(
    'events: two statements on one connection',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const { seen } = new Events(pool)
        await pool.query('SELECT 1')
        await pool.query('SELECT 1')
        return seen
      }),
    ['connect A', 'acquire A', 'release A', 'acquire A', 'release A'],
  ),
  check(
    'events: a statement that fails, and the one after it',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const events = new Events(pool)
        await outcome(pool.query('SELECT 1/0'))
        const failed = await events.until('remove A')
        await pool.query('SELECT 1')
        return [failed, events.seen.slice(failed.length)]
      }),
    [
      ['connect A', 'acquire A', 'release A with 22012', 'remove A'],
      ['connect B', 'acquire B', 'release B'],
    ],
  ),
  check(
    'events: clients taken side by side',
    (subject) =>
      withPool(subject, { max: 2 }, async (pool) => {
        const letters = new Letters()
        const { seen } = new Events(pool, letters)
        const first = await pool.connect()
        seen.push(`have ${letters.of(first)}`)
        const second = await pool.connect()
        seen.push(`have ${letters.of(second)}`)
        const third = pool.connect()
        first.release()
        seen.push('released')
        const again = await third
        seen.push(`have ${letters.of(again)}`)
        second.release()
        again.release()
        return seen
      }),
    [
      'connect A',
      'acquire A',
      'have A',
      'connect B',
      'acquire B',
      'have B',
      'release A',
      'acquire A',
      'released',
      'have A',
      'release B',
      'release A',
    ],
  ),
  check(
    'events: what release is told is what its listeners are told',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const told: unknown[] = []
        pool.on('release', (error: unknown) =>
          told.push(error === undefined || error === null ? 'nothing' : describeError(error)),
        )
        for (const reason of [new Error('broken'), true, false, undefined])
          (await pool.connect()).release(reason)
        await pool.query('SELECT 1')
        return told
      }),
    [{ type: 'Error', message: 'broken' }, true, false, 'nothing', 'nothing'],
  ),
  check(
    'events: a listener of connect may use the client first',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const done: string[] = []
        pool.on('connect', (client) => {
          client.query(`SET work_mem TO '9MB'`).then(
            () => done.push('set'),
            (error: unknown) => done.push(short(error)),
          )
        })
        return [(await pool.query('SHOW work_mem')).rows, done]
      }),
    [[{ work_mem: '9MB' }], ['set']],
  ),
  check(
    'events: counts as listeners see them',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const seen: string[] = []
        for (const name of ['connect', 'acquire', 'release'] as const) {
          ;(pool as pg.Pool & { on(name: string, listener: () => void): unknown }).on(name, () =>
            seen.push(`${name}: ${counts(pool)}`),
          )
        }
        await pool.query('SELECT 1')
        return seen
      }),
    [
      'connect: 1 open, 0 idle, 0 waiting',
      'acquire: 1 open, 0 idle, 0 waiting',
      'release: 1 open, 0 idle, 0 waiting',
    ],
  ),
  check(
    'events: once, off and listenerCount',
    (subject) =>
      withPool(subject, { max: 1 }, async (pool) => {
        const seen: string[] = []
        const listener = (): void => void seen.push('acquire')
        pool.once('connect', () => seen.push('connect'))
        pool.on('acquire', listener)
        const before = [pool.listenerCount('connect'), pool.listenerCount('acquire')]
        await pool.query('SELECT 1')
        pool.off('acquire', listener)
        await pool.query('SELECT 1')
        return {
          before,
          after: [pool.listenerCount('connect'), pool.listenerCount('acquire')],
          seen,
        }
      }),
    { before: [1, 1], after: [0, 0], seen: ['connect', 'acquire'] },
  ),
]
