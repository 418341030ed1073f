import { expect, test } from 'vitest'
import { UnknownNodeError } from '../../../src/errors.ts'
import type { QueryEvent } from '../../../src/cluster/events.ts'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { useCluster, WHO } from '../../support/cluster.ts'

const fixture = useCluster('CREATE TABLE posts (id int PRIMARY KEY)')

const answered = async (cluster: Cluster): Promise<string> =>
  fixture.nameOf((await cluster.reader.query(WHO)).rows[0])

const tally = (names: readonly string[]): Record<string, number> =>
  names.reduce<Record<string, number>>(
    (counts, name) => ({ ...counts, [name]: (counts[name] ?? 0) + 1 }),
    {},
  )

test('writer is the primary, reader is the replicas', async () => {
  const cluster = fixture.open()
  const writer = await cluster.writer.query(WHO)
  expect(fixture.nameOf(writer.rows[0])).toBe('master')
  expect(writer).toHaveProperty('routing', {
    node: 'master',
    role: 'primary',
    reason: 'write',
    lagMs: 0,
    waitedMs: 0,
  })
  const reader = await cluster.reader.query(WHO)
  expect(reader.rows[0].replica).toBe(true)
  expect(reader).toMatchObject({
    routing: { node: fixture.nameOf(reader.rows[0]), role: 'replica', reason: 'balanced' },
  })
})

test('each statement goes to the next replica, whatever started it', async () => {
  const cluster = fixture.open()
  const names: string[] = [await answered(cluster)]
  names.push(
    await new Promise((resolve) =>
      cluster.reader.query(WHO, (_error, result) => resolve(fixture.nameOf(result.rows[0]))),
    ),
  )
  names.push(fixture.nameOf((await cluster.reader.query({ text: WHO, name: 'who' })).rows[0]))
  const client = await cluster.reader.connect()
  names.push(fixture.nameOf((await client.query(WHO)).rows[0]))
  client.release()
  expect(names).toEqual([names[0], names[1], names[0], names[1]])
  expect(new Set(names)).toEqual(new Set(['replica1', 'replica2']))
})

test('fair to within one, also under concurrency', async () => {
  const cluster = fixture.open()
  const names = await Promise.all(Array.from({ length: 101 }, () => answered(cluster)))
  const { replica1 = 0, replica2 = 0, ...others } = tally(names)
  expect(others).toEqual({})
  expect(Math.abs(replica1 - replica2)).toBeLessThanOrEqual(1)
})

test('a client stays on one replica until it is released', async () => {
  const cluster = fixture.open()
  const client = await cluster.reader.connect()
  const names = new Set<string>()
  for (let turn = 0; turn < 5; turn++) {
    names.add(fixture.nameOf((await client.query(WHO)).rows[0]))
    await answered(cluster)
  }
  client.release()
  expect(names.size).toBe(1)
})

test('weights and functions decide', async () => {
  const heavy = fixture.open({}, (config) => ({
    ...config,
    replica2: { ...config.replica2, weight: 3 },
    settings: { balancing: 'weighted' },
  }))
  const names: string[] = []
  for (let turn = 0; turn < 8; turn++) names.push(await answered(heavy))
  expect(tally(names)).toEqual({ replica1: 2, replica2: 6 })
  const last = fixture.open({}, (config) => ({
    ...config,
    settings: { balancing: (candidates: readonly { name: string }[]) => candidates.at(-1) },
  }))
  expect([await answered(last), await answered(last)]).toEqual(['replica2', 'replica2'])
})

test('using() reaches everything that is called inside', async () => {
  const cluster = fixture.open({}, (config) => ({
    ...config,
    replica2: { ...config.replica2, tags: ['analytics'] },
  }))
  const under = (target: string) =>
    cluster.using(target, async () => [await answered(cluster), await answered(cluster)])
  expect(await under('primary')).toEqual(['master', 'master'])
  expect(await under('replica1')).toEqual(['replica1', 'replica1'])
  expect(await under('analytics')).toEqual(['replica2', 'replica2'])
  expect(new Set(await under('replica'))).toEqual(new Set(['replica1', 'replica2']))
  expect(await cluster.using('primary', () => under('replica1'))).toEqual(['replica1', 'replica1'])
  await expect(under('nobody')).rejects.toThrow(UnknownNodeError)
  await expect(under('nobody')).rejects.toThrow(/replica1, replica2, analytics/)
  expect(
    await cluster.using('replica1', async () =>
      fixture.nameOf((await cluster.writer.query(WHO)).rows[0]),
    ),
  ).toBe('master')
})

test('the override of one cluster is not that of another', async () => {
  const [one, other] = [fixture.open(), fixture.open()]
  const names = await one.using('primary', async () => [await answered(one), await answered(other)])
  expect(names[0]).toBe('master')
  expect(names[1]).toMatch(/^replica/)
})

test('replica_share is a kill switch that tells what it prevents', async () => {
  const cluster = fixture.open({}, (config) => ({ ...config, settings: { replicaShare: 0 } }))
  const events: QueryEvent[] = []
  cluster.events.on('query', (event) => events.push(event))
  expect(await answered(cluster)).toBe('master')
  expect(events).toMatchObject([{ node: 'master', reason: 'replica-share', outcome: 'ok' }])
  expect(events[0]?.shadow).toMatch(/^replica[12]$/)
  expect(events[0]?.durationMs).toBeGreaterThan(0)
  cluster.replicaShare = 0.5
  const { master } = tally(await Promise.all(Array.from({ length: 20 }, () => answered(cluster))))
  expect(master).toBe(10)
  expect(() => (cluster.replicaShare = 2)).toThrow(/between 0 and 1/)
  expect(() => (cluster.replicaShare = Number.NaN)).toThrow(/between 0 and 1/)
})

test('a listener that throws does not break the read', async () => {
  const cluster = fixture.open()
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const thrown = new Promise((resolve) => process.once('uncaughtException', resolve))
  cluster.events.once('query', () => {
    throw new Error('listener')
  })
  await expect(answered(cluster)).resolves.toMatch(/^replica/)
  await expect(thrown).resolves.toMatchObject({ message: 'listener' })
  for (const listener of listeners) process.on('uncaughtException', listener)
})
