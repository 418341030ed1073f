import pg from 'pg'
import { afterEach, expect, test, vi } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { PooledConnections } from '../../../src/nodes/connections.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

/** The options that `pg` sees, without a server. */
const optionsOf = async (connections: PooledConnections): Promise<pg.PoolOptions> => {
  const connect = vi.spyOn(pg.Pool.prototype, 'connect').mockResolvedValue(undefined)
  await connections.acquire()
  return (connect.mock.contexts.at(-1) as pg.Pool).options
}

const configured = (keys: object = {}) =>
  loadConfig({
    config: { master: { host: 'a', ssl: false, ...keys }, replica1: { host: 'b', ssl: false } },
  }).primary

test('connections that are opened together are not replaced together, and never too late', async () => {
  const { maxLifetimeMs, ...rest } = configured({ maxLifetimeMs: 60_000 })
  const options = await optionsOf(new PooledConnections({ maxLifetimeMs, ...rest }, 'read', {}))
  const ages = Array.from({ length: 200 }, () => options.maxLifetimeSeconds)
  expect(new Set(ages).size).toBeGreaterThan(190)
  expect(Math.max(...ages)).toBeLessThanOrEqual(60)
  expect(Math.min(...ages)).toBeGreaterThanOrEqual(48)
})

test('0 is no age at all', async () => {
  const options = await optionsOf(
    new PooledConnections(configured({ maxLifetimeMs: 0 }), 'read', {}),
  )
  expect(options.maxLifetimeSeconds).toBe(0)
})

test('number, age and password change for the connections to come', async () => {
  const connections = new PooledConnections(configured({ pool: 5, password: 'one' }), 'write', {})
  const options = await optionsOf(connections)
  const password = () => (options.password as () => Promise<string>)()
  expect([options.max, await password()]).toEqual([5, 'one'])
  connections.configure(configured({ pool: 2, password: 'two', maxLifetimeMs: 1_000 }))
  expect([options.max, await password()]).toEqual([2, 'two'])
  expect(options.maxLifetimeSeconds).toBeLessThanOrEqual(1)
})
