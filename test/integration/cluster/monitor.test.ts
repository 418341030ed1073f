import { expect, test, vi } from 'vitest'
import type { LagEvent } from '../../../src/cluster/events.ts'
import { CONTROL_SUFFIX } from '../../../src/nodes/node.ts'
import { EXECUTE } from '../../../src/cluster/statement.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import { WHO } from '../../support/cluster.ts'
import { observe, PATIENCE, useServers } from '../../support/observed.ts'
import type { Observed } from '../../support/observed.ts'

const fixture = useServers(2)

const answered = async ({ cluster }: Observed): Promise<string | undefined> => {
  const { port } = (await cluster.reader.query(WHO)).rows[0]
  return Object.entries(fixture.servers.config).find(([, node]) => node.port === port)?.[0]
}

/** Which servers answer many reads. */
const serving = async (observed: Observed): Promise<string[]> => {
  const names = new Set<string | undefined>()
  for (let turn = 0; turn < 8; turn++) names.add(await answered(observed))
  return [...names].map(String).toSorted()
}

/** Writes without pause until it is ended, past the library. */
const writing = async (table: string): Promise<() => Promise<void>> => {
  await fixture.sql('master', `CREATE TABLE ${table} (n int)`)
  const load = { running: true }
  const loop = (async () => {
    while (load.running)
      await fixture.sql('master', `INSERT INTO ${table} SELECT generate_series(1, 50)`)
  })()
  return async () => {
    load.running = false
    await loop
  }
}

test('every node says what it is, over one connection each', async () => {
  const observed = await fixture.open({}, {})
  await observed.known()
  await observed.until('replica1', { receiving: true })
  await observed.until('replica2', { receiving: true })
  expect(observed.cluster.status().nodes).toMatchObject([
    {
      node: 'master',
      role: 'primary',
      timeline: 1,
      lagMs: 0,
      lagBytes: 0,
      replayPaused: undefined,
    },
    { node: 'replica1', role: 'replica', timeline: 1, replayPaused: false },
    { node: 'replica2', role: 'replica', timeline: 1, replayPaused: false },
  ])
  expect(observed.status('master').version).toMatch(/^\d+\.\d+/)
  for (const server of Object.keys(fixture.servers.config)) {
    const rows = await fixture.sql<{ name: string }>(
      server,
      "SELECT application_name AS name FROM pg_stat_activity WHERE application_name LIKE 'segregato%' AND application_name NOT LIKE '%helper'",
    )
    const control = rows.filter(({ name }) => name.endsWith(CONTROL_SUFFIX))
    expect([server, control.length]).toEqual([server, 1])
    expect(rows.length - control.length).toBe(server === 'master' ? 1 : 0)
  }
  await observed.cluster.close()
})

test('a replica that stands still is left alone before any read has met it, and comes back', async () => {
  const observed = await fixture.open()
  await observed.known()
  await fixture.servers.freeze('replica1')
  try {
    await observed.until('replica1', { state: 'quarantined' })
    expect(await serving(observed)).toEqual(['replica2'])
  } finally {
    await fixture.servers.thaw('replica1')
  }
  await observed.until('replica1', { state: 'healthy', failures: 0 })
  expect(observed.events).toMatchObject([
    { node: 'replica1', state: 'quarantined', error: 'ETIMEDOUT' },
    { node: 'replica1', state: 'healthy', error: undefined },
  ])
  expect(await serving(observed)).toEqual(['replica1', 'replica2'])
})

test('a replica that dies is left alone at once, and serves again when it is back', async () => {
  const observed = await fixture.open()
  await observed.known()
  await fixture.servers.kill('replica2')
  await observed.until('replica2', { state: 'quarantined' })
  // What it had shown before it died, it may not show now.
  expect(observed.status('replica2')).toMatchObject({ lagMs: undefined, lagBytes: undefined })
  expect(await serving(observed)).toEqual(['replica1'])
  await fixture.servers.start('replica2')
  await observed.until('replica2', { state: 'healthy', lagMs: 0 })
  expect(await serving(observed)).toEqual(['replica1', 'replica2'])
  expect(observed.events.filter(({ node }) => node === 'replica2')).toHaveLength(2)
})

test('an idle primary makes nobody late', async () => {
  const observed = await fixture.open()
  await observed.known()
  await observed.until('replica1', { lagMs: 0 })
  await observed.until('replica2', { lagMs: 0 })
  const startedAt = performance.now()
  const late: unknown[] = []
  // Longer than three probes of each: by the servers' own clocks the lag would grow to that.
  await expect
    .poll(() => {
      const asked = observed.status('master').observedAgoMs ?? Infinity
      for (const name of ['replica1', 'replica2']) {
        const { lagMs } = observed.status(name)
        if (lagMs !== 0 && asked < 2_000) late.push([name, lagMs, asked])
      }
      return performance.now() - startedAt > 3_500
    }, PATIENCE)
    .toBe(true)
  expect(late).toEqual([])
})

test('paused replay: behind in bytes and time, not left alone, and not for reads with a limit', async () => {
  const observed = await fixture.open({ maxLagMs: 3_000 })
  const lags: LagEvent[] = []
  observed.cluster.events.on('lag', (event) => lags.push(event))
  await observed.known()
  await observed.until('replica1', { lagMs: 0 })
  const stop = await writing('paused')
  await fixture.servers.pauseReplay('replica1')
  try {
    await observed.until('replica1', { replayPaused: true, receiving: true })
    await expect.poll(() => observed.status('replica1').lagMs, PATIENCE).toBeGreaterThan(3_000)
    expect(observed.status('replica1').lagBytes).toBeGreaterThan(1_000)
    await expect.poll(() => lags, PATIENCE).toMatchObject([{ node: 'replica1', behind: true }])
    expect(await serving(observed)).toEqual(['replica2'])
  } finally {
    await fixture.servers.resumeReplay('replica1')
    await stop()
  }
  await observed.until('replica1', { lagMs: 0, lagBytes: 0, replayPaused: false })
  await expect.poll(() => lags.map(({ behind }) => behind), PATIENCE).toEqual([true, false])
  expect(observed.events).toEqual([])
})

test('a frozen WAL receiver: the replica itself sees no lag, the primary does', async () => {
  const observed = await fixture.open()
  await observed.known()
  const rows = await fixture.sql<{ pid: number }>(
    'replica1',
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'",
  )
  const { pid } = rows[0]!
  process.kill(pid, 'SIGSTOP')
  const stop = await writing('receiver')
  try {
    await expect.poll(() => observed.status('replica1').lagMs, PATIENCE).toBeGreaterThan(2_000)
    expect(observed.status('replica1')).toMatchObject({ state: 'healthy', receiving: true })
    expect(observed.status('replica1').lagBytes).toBeGreaterThan(0)
  } finally {
    process.kill(pid, 'SIGCONT')
    await stop()
  }
  await observed.until('replica1', { lagMs: 0, lagBytes: 0 })
})

test('an apply delay shows as lag of about that much', async () => {
  const observed = await fixture.open()
  await observed.known()
  await fixture.servers.setApplyDelay('replica1', 4_000)
  const stop = await writing('delayed')
  try {
    await expect.poll(() => observed.status('replica1').lagMs, PATIENCE).toBeGreaterThan(4_000)
  } finally {
    await stop()
    await fixture.servers.setApplyDelay('replica1', 0)
  }
  await observed.until('replica1', { lagMs: 0 })
})

test('what a server denies is not known, and the node is healthy', async () => {
  await fixture.sql('master', "CREATE ROLE humble LOGIN PASSWORD 'humble'")
  for (const denied of [
    'pg_last_wal_replay_lsn()',
    'pg_control_system()',
    'pg_current_wal_flush_lsn()',
  ])
    await fixture.sql('master', `REVOKE EXECUTE ON FUNCTION ${denied} FROM PUBLIC`)
  const humble = Object.fromEntries(
    Object.entries(fixture.servers.config).map(([name, node]) => [
      name,
      { ...node, username: 'humble', password: 'humble' },
    ]),
  )
  await expect
    .poll(() => fixture.sql('replica1', "SELECT FROM pg_roles WHERE rolname = 'humble'"))
    .toHaveLength(1)
  const observed = await observe(humble)
  await observed.known()
  for (const name of ['master', 'replica1', 'replica2'])
    expect(observed.status(name)).toMatchObject({ state: 'healthy', failures: 0 })
  expect(observed.status('replica1')).toMatchObject({ lagMs: undefined, lagBytes: undefined })
  await observed.until('replica1', { replayPaused: false })
  // With a limit, a lag that is not known is too much.
  const read = await observed.cluster.reader[EXECUTE]({ text: WHO }, { maxLagMs: 60_000 })
  expect(read.routing).toMatchObject({ node: 'master', reason: 'no-replica' })
  // What is granted counts without a restart.
  for (const granted of ['pg_last_wal_replay_lsn()', 'pg_current_wal_flush_lsn()'])
    await fixture.sql('master', `GRANT EXECUTE ON FUNCTION ${granted} TO humble`)
  await observed.until('replica1', { lagBytes: 0 })
  await observed.cluster.close()
})

test('a stall of the event loop is held against nobody', async () => {
  const observed = await fixture.open()
  await observed.known()
  const seen = new Map<string, number>()
  for (let round = 0; round < 4; round++) {
    const until = performance.now() + 900
    while (performance.now() < until) seen.set('blocked', round)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const stalledAt = performance.now()
  await expect
    .poll(() => {
      const age = performance.now() - stalledAt
      return observed.cluster
        .status()
        .nodes.every(({ observedAgoMs }) => (observedAgoMs ?? Infinity) < age)
    }, PATIENCE)
    .toBe(true)
  expect(observed.events).toEqual([])
})

test('a server of another cluster serves nothing, until it is mended', async () => {
  const foreign = await startCluster({ replicas: 1 })
  const { master, replica1 } = fixture.servers.config
  const { port, password } = foreign.config['replica1']!
  const observed = await observe({ master, replica1: replica1!, foreign: { ...replica1!, port, password } }) // prettier-ignore
  await observed.until('foreign', { state: 'wrong-server' })
  expect(await serving(observed)).toEqual(['replica1'])
  await expect(
    observed.cluster.using('foreign', () => observed.cluster.reader.query(WHO)),
  ).rejects.toMatchObject({
    code: 'SEGREGATO_NO_REPLICA',
    nodes: [{ node: 'foreign', problem: 'belongs to another cluster' }],
  })
  expect(observed.events.at(-1)).toMatchObject({ node: 'foreign', error: 'other-system' })
  await observed.cluster.close()
  await foreign.close()
})

test('a master in the place of a replica serves nothing', async () => {
  const { master, replica1 } = fixture.servers.config
  const observed = await observe({
    master,
    replica1: replica1!,
    // By another name, which only the server itself can give away.
    again: { ...master, host: 'localhost', database: 'postgres' },
    settings: { allowSameServer: false },
  }).catch((error: unknown) => error)
  // The configuration sees it by its address already.
  expect(String(observed)).toContain('the same address')
  const other = await startCluster({ replicas: 1 })
  const config = { master: other.config.master, replica1: other.config['replica1']! }
  const watched = await observe(config)
  await watched.known()
  await other.promote('replica1')
  await watched.until('replica1', { state: 'wrong-server' })
  const read = await watched.cluster.reader.query(WHO)
  expect(read).toMatchObject({ routing: { node: 'master', reason: 'no-replica' } })
  await watched.cluster.close()
  await other.close()
})

test('one server for all: allowed where it is meant', async () => {
  const { master } = fixture.servers.config
  const observed = await observe({
    master,
    replica1: master,
    settings: { allowSameServer: true },
  })
  await observed.known()
  await observed.until('replica1', { state: 'healthy', lagMs: 0, lagBytes: 0 })
  expect(await answered(observed)).toBe('master')
  expect(observed.events).toEqual([])
  await observed.cluster.close()
})

test('on use: no timer, a round beside statements, and nothing known after a freeze', async () => {
  const observed = await fixture.open({ probe: 'on_use' })
  await observed.known()
  const asked = observed.status('replica1').observedAgoMs!
  // Without a statement nobody is asked.
  await expect.poll(() => observed.status('replica1').observedAgoMs, PATIENCE).toBeGreaterThan(asked + 1_500) // prettier-ignore
  await observed.cluster.reader.query('SELECT 1')
  await expect.poll(() => observed.status('replica1').observedAgoMs, PATIENCE).toBeLessThan(1_000)

  await fixture.servers.freeze('replica1')
  const real = performance.now.bind(performance)
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => real() + 60_000)
  try {
    // The round is waited for, at most half a second, and what did not answer in it is not known.
    await observed.cluster.writer.query('SELECT 1')
    expect(observed.status('replica1')).toMatchObject({
      observedAgoMs: undefined,
      lagMs: undefined,
    })
    expect(observed.status('replica2').observedAgoMs).toBeLessThan(10_000)
  } finally {
    await fixture.servers.thaw('replica1')
    clock.mockRestore()
  }
})
