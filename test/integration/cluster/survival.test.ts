import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import { EXECUTE } from '../../../src/cluster/statement.ts'
import { ClusterVerificationError } from '../../../src/errors.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import { WHO } from '../../support/cluster.ts'

/** Servers of its own, since they are paused and killed. */
let servers: TestCluster
let cluster: Cluster
/** What another process writes: this one's reads do not wait for it. */
let elsewhere: Cluster

beforeAll(async () => {
  servers = await startCluster({ replicas: 2, settings: { max_standby_streaming_delay: '100ms' } })
  cluster = connect({ config: servers.config })
  elsewhere = connect({ config: servers.config })
  await elsewhere.writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
})
afterAll(async () => {
  await cluster?.close()
  await elsewhere?.close()
  await servers?.close()
})

const nameOf = (port: number): string | undefined =>
  Object.entries(servers.config).find(([, node]) => node.port === port)?.[0]
const answered = async (): Promise<string | undefined> =>
  nameOf((await cluster.reader.query(WHO)).rows[0].port)

test('a replica that is behind does not serve reads that allow less', async () => {
  const fresh = async (maxLagMs: number): Promise<string | undefined> =>
    nameOf(
      (await cluster.reader[EXECUTE]<{ port: number }>({ text: WHO }, { maxLagMs })).rows[0]!.port,
    )
  expect(await fresh(1_000)).toMatch(/^replica/)
  await servers.pauseReplay('replica1')
  await elsewhere.writer.query('INSERT INTO posts VALUES (1)')
  await sleep(300)
  const names = new Set<string | undefined>()
  for (let turn = 0; turn < 6; turn++) names.add(await fresh(200))
  expect(names).toEqual(new Set(['replica2']))
  await servers.pauseReplay('replica2')
  await elsewhere.writer.query('INSERT INTO posts VALUES (2)')
  await sleep(300)
  expect(await fresh(200)).toBe('master')
  expect(await fresh(60_000)).toMatch(/^replica/)
  await servers.resumeReplay('replica1')
  await servers.resumeReplay('replica2')
  await expect.poll(() => fresh(200)).toMatch(/^replica/)
})

test('a read that the standby cancels to go on replaying is repeated elsewhere', async () => {
  await elsewhere.writer.query('CREATE TABLE doomed (id int)')
  await elsewhere.writer.query('INSERT INTO doomed VALUES (1)')
  await expect
    .poll(
      async () =>
        (
          await cluster.reader[EXECUTE](
            { text: "SELECT to_regclass('doomed') AS name" },
            { maxLagMs: 50 },
          )
        ).rows[0]?.['name'],
    )
    .toBe('doomed')
  const slow = cluster.reader.query(
    'SELECT (SELECT count(*)::int FROM doomed) AS rows, pg_sleep(1.5)',
  )
  await sleep(200)
  await elsewhere.writer.query('TRUNCATE doomed')
  const result = await slow
  expect(result).toMatchObject({ routing: { reason: 'retry' } })
  expect(cluster.status().nodes.every(({ state }) => state === 'healthy')).toBe(true)
})

test('a replica dies under load: no read fails, and it comes back by itself', async () => {
  const load = { running: true }
  const failures: unknown[] = []
  const names: (string | undefined)[] = []
  const loops = Array.from({ length: 4 }, async () => {
    while (load.running) {
      await answered().then(
        (name) => names.push(name),
        (error: unknown) => failures.push(error),
      )
    }
  })
  await expect.poll(() => new Set(names).size).toBe(2)
  await servers.kill('replica1')
  const before = names.length
  await expect.poll(() => names.length).toBeGreaterThan(before + 200)
  await servers.start('replica1')
  const after = names.length
  await expect.poll(() => names.slice(after).includes('replica1'), { timeout: 20_000 }).toBe(true)
  load.running = false
  await Promise.all(loops)
  expect(failures).toEqual([])
})

test('verify names the server that is not what it should be', async () => {
  expect(await cluster.verify()).toMatchObject([
    { node: 'master', inRecovery: false },
    { node: 'replica1', inRecovery: true },
    { node: 'replica2', inRecovery: true },
  ])
  const { master, replica1, replica2 } = servers.config
  const swapped = connect({ config: { master: replica1!, replica1: master, replica2: replica2! } })
  const error = (await swapped.verify().catch((e: unknown) => e)) as ClusterVerificationError
  await swapped.close()
  expect(error).toBeInstanceOf(ClusterVerificationError)
  expect(error.problems.map(({ node }) => node)).toEqual(['master', 'replica1'])

  const foreign = await startCluster({ replicas: 1 })
  const mixed = connect({ config: { master, replica1: foreign.config['replica1']! } })
  await expect(mixed.verify()).rejects.toMatchObject({
    problems: [{ node: 'replica1', problem: expect.stringContaining('its system identifier is') }],
  })
  await mixed.close()
  await foreign.close()

  await servers.stop('replica2')
  await expect(cluster.verify()).rejects.toThrow(/replica2: cannot be asked \(ECONNREFUSED/)
  await servers.start('replica2')
})
