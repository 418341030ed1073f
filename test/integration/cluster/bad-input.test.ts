import { afterAll, expect, test } from 'vitest'
import { connect } from '../../../src/cluster/connect.ts'
import { EXECUTE } from '../../../src/cluster/statement.ts'
import { ClusterClosedError, InvalidArgumentError } from '../../../src/errors.ts'

/** Nothing of this is ever sent: no server is asked. */
const nobody = { host: '127.0.0.1', port: 1, database: 'd', username: 'u', password: 'p' }
const cluster = connect({ config: { master: nobody, replica1: { ...nobody, port: 2 } } })
afterAll(() => cluster.close())

const run = async (): Promise<string> => 'ran'
const SELECT = { text: 'SELECT 1' }

test.each<[string, unknown, unknown]>([
  ['no function', 5, {}],
  ['nothing at all', undefined, undefined],
  ['null in place of options', run, null],
  ['text in place of options', run, 'token'],
  ['an option that does not exist', run, { tokn: 'x' }],
  ['an unknown level', run, { consistency: 'sure' }],
  ['a level that is no text', run, { consistency: 1 }],
  ['a lag below zero', run, { maxLagMs: -1 }],
  ['a lag that is no number', run, { maxLagMs: NaN }],
  ['a lag as text', run, { maxLagMs: '5' }],
])('session(): %s is refused', async (_what, fn, options) => {
  const session = async (): Promise<unknown> => cluster.session(fn as never, options as never)
  await expect(session()).rejects.toThrow(InvalidArgumentError)
})

test('scopes take functions only', async () => {
  const scopes: (() => Promise<unknown>)[] = [
    async () => cluster.transaction(5 as never),
    async () => cluster.snapshot(5 as never),
    async () => cluster.using('primary', 5 as never),
  ]
  for (const scope of scopes) await expect(scope()).rejects.toThrow(InvalidArgumentError)
})

test.each<[string, unknown]>([
  ['a number', 5],
  ['an object', {}],
  ['null', null],
  ['a list', ['x']],
])('session(): %s as a token counts as none', async (_what, token) => {
  const { refusedTokens } = cluster.status().counts
  expect(await cluster.session(run, { token: token as never })).toBe('ran')
  expect(cluster.status().counts.refusedTokens).toBe(refusedTokens + 1)
})

test.each<[string, object]>([
  ['no time', { timeoutMs: 0 }],
  ['a time below zero', { timeoutMs: -5 }],
  ['a time that is no number', { timeoutMs: NaN }],
  ['a time as text', { timeoutMs: '5' }],
  ['an absurd lag', { maxLagMs: -Infinity }],
  ['an unknown level', { consistency: 'linear' }],
  ['a signal that is none', { signal: {} }],
])('reads and writes: %s is refused', async (_what, options) => {
  for (const pool of [cluster.reader, cluster.writer]) {
    if (pool === cluster.writer && !('timeoutMs' in options || 'signal' in options)) continue
    const call = async (): Promise<unknown> => pool[EXECUTE](SELECT, options)
    await expect(call()).rejects.toThrow(InvalidArgumentError)
  }
})

test('a signal that is aborted already: nothing is begun, and its reason is the error', async () => {
  const reason = new Error('enough')
  for (const pool of [cluster.reader, cluster.writer]) {
    const call = async (): Promise<unknown> =>
      pool[EXECUTE](SELECT, { signal: AbortSignal.abort(reason) })
    await expect(call()).rejects.toBe(reason)
  }
})

test.each<[unknown]>([[-0.1], [1.1], [NaN], ['0.5'], [null]])(
  'replicaShare = %s is refused',
  (share) => {
    expect(() => {
      cluster.replicaShare = share as never
    }).toThrow(InvalidArgumentError)
    expect(cluster.replicaShare).toBe(1)
  },
)

test('after close() there is no session and no token', async () => {
  const closed = connect({ config: { master: nobody, replica1: { ...nobody, port: 2 } } })
  await closed.close()
  await closed.close()
  const calls: (() => Promise<unknown>)[] = [
    async () => closed.session(run),
    async () => closed.token(),
    async () => closed.using('primary', run),
    async () => closed.reader[EXECUTE](SELECT),
    async () => closed.writer[EXECUTE](SELECT),
    async () => closed.reload(),
  ]
  for (const call of calls) await expect(call()).rejects.toThrow(ClusterClosedError)
})
