import { afterEach, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import type { LagEvent } from '../../../src/cluster/events.ts'
import { EXECUTE } from '../../../src/cluster/statement.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'

const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each[Symbol.asyncDispose]()
})

const MAX_LAG_MS = 1_500
const SETTINGS = { maxLagMs: MAX_LAG_MS, consistency: 'eventual' }
const SHOWN = { text: 'SELECT count(*)::int AS rows FROM posts' }

/** `replica1` has everything, `replica2` stands still. */
const start = async (): Promise<{ servers: TestCluster; cluster: Cluster }> => {
  const servers = await startCluster({ replicas: 2 })
  opened.push(servers)
  const cluster = connect({ config: { ...servers.config, settings: SETTINGS } as never })
  opened.push(cluster)
  await cluster.writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
  const rows = async (name: string) => {
    const found = await cluster
      .using(name, async () => cluster.reader[EXECUTE](SHOWN, { maxLagMs: 3_600_000 }))
      .catch(() => undefined)
    return found?.rows[0]?.['rows']
  }
  await expect.poll(() => rows('replica2')).toBe(0)
  await servers.pauseReplay('replica2')
  await cluster.writer.query('INSERT INTO posts VALUES (1)')
  await expect.poll(() => rows('replica1')).toBe(1)
  const lagOf = (name: string) => cluster.status().nodes.find(({ node }) => node === name)?.lagMs
  // What the primary has is known, and that replica1 has it too.
  await expect.poll(() => lagOf('replica1')).toBe(0)
  await expect.poll(() => lagOf('replica2')).toBeGreaterThan(MAX_LAG_MS)
  return { servers, cluster }
}

test('without a primary max_lag_ms drops no replica that has all that is known; a bound of a call holds', async () => {
  const { servers, cluster } = await start()
  const lags: LagEvent[] = []
  await servers.kill('master')
  cluster.events.on('lag', (event) => lags.push(event))
  // Until nothing of the primary is as new as the bound.
  await expect
    .poll(() => cluster.reader[EXECUTE](SHOWN, { maxLagMs: MAX_LAG_MS }).catch((e: unknown) => e))
    .toMatchObject({
      code: 'SEGREGATO_NO_REPLICA',
      nodes: expect.arrayContaining([
        { node: 'replica1', problem: `not known to be at most ${MAX_LAG_MS} ms behind` },
      ]),
    })
  for (let turn = 0; turn < 10; turn++) {
    const { rows, routing } = await cluster.reader[EXECUTE](SHOWN)
    expect(rows).toEqual([{ rows: 1 }])
    expect(routing).toMatchObject({ node: 'replica1' })
  }
  expect(lags).toEqual([])
  // The one that was behind serves nobody, also when it is the last.
  await servers.kill('replica1')
  await expect(cluster.reader[EXECUTE](SHOWN)).rejects.toMatchObject({
    code: 'SEGREGATO_NO_REPLICA',
  })
})

test('a process that starts without a primary reads all the same', async () => {
  const { servers } = await start()
  await servers.kill('master')
  const late = connect({ config: { ...servers.config, settings: SETTINGS } as never })
  opened.push(late)
  await expect
    .poll(() => late.reader[EXECUTE](SHOWN).then(({ routing }) => routing.role, String))
    .toBe('replica')
})
