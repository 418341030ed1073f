import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import type { ClusterEvents, QueryEvent } from '../../../src/cluster/events.ts'
import type { ClusterStatus } from '../../../src/cluster/status.ts'
import { InvalidArgumentError } from '../../../src/errors.ts'
import { metrics } from '../../../src/web/metrics.ts'

const counts = { totalCount: 3, idleCount: 1, waitingCount: 2, expiredCount: 0 }
const STATUS: ClusterStatus = {
  state: 'open',
  environment: 'test',
  writes: 'available',
  counts: { staleReads: 0, refusedTokens: 0, lostHistories: 0 },
  replicaShare: 0.5,
  nodes: [
    {
      node: 'master',
      role: 'primary',
      host: 'secret.internal',
      port: 5432,
      tags: [],
      tls: 'off',
      state: 'healthy',
      quarantineMs: 0,
      failures: 0,
      lagBytes: undefined,
      timeline: undefined,
      replayPaused: undefined,
      receiving: undefined,
      version: undefined,
      observedAgoMs: undefined,
      lagMs: 0,
      read: counts,
      write: counts,
    },
    {
      node: 'replica "1"\n\\',
      role: 'replica',
      host: 'secret.internal',
      port: 5433,
      tags: [],
      tls: 'off',
      state: 'quarantined',
      quarantineMs: 1_500,
      failures: 4,
      lagBytes: undefined,
      timeline: undefined,
      replayPaused: undefined,
      receiving: undefined,
      version: undefined,
      observedAgoMs: undefined,
      lagMs: undefined,
      read: counts,
      write: undefined,
    },
  ],
}
const READ: QueryEvent = {
  node: 'replica2',
  role: 'replica',
  reason: 'balanced',
  lagMs: 3,
  waitedMs: 20,
  durationMs: 30,
  outcome: 'ok',
  shadow: undefined,
}

const fake = () => {
  const events = new EventEmitter<ClusterEvents>()
  return { events, status: () => STATUS }
}
const textOf = async (handler: ReturnType<typeof metrics>): Promise<string[]> =>
  (await (await handler.answer()).text()).split('\n')

test('nodes, connections and what has happened since it began', async () => {
  const cluster = fake()
  cluster.events.emit('query', READ)
  const handler = metrics(cluster)
  cluster.events.emit('query', READ)
  cluster.events.emit('query', { ...READ, waitedMs: 0 })
  cluster.events.emit('query', { ...READ, reason: 'retry', outcome: 'error' })
  cluster.events.emit('query', { ...READ, node: 'master', role: 'primary', reason: 'write' })
  const inside = { role: 'primary', node: 'master', reason: 'transaction' } as const
  cluster.events.emit('query', { ...READ, ...inside, outcome: 'error' })
  cluster.events.emit('primary', {
    state: 'missing',
    node: undefined,
    previous: 'master',
    timeline: 1,
    claims: [],
    withoutMs: 0,
    historyLost: false,
  })
  cluster.events.emit('stale', { node: 'replica1', waitedMs: 200 })
  const change = { node: 'replica1', role: 'replica', quarantineMs: 500, error: undefined } as const
  cluster.events.emit('node', { ...change, state: 'quarantined' })
  cluster.events.emit('node', { ...change, state: 'healthy' })
  const lines = await textOf(handler)
  for (const line of [
    'segregato_open 1',
    'segregato_replica_share 0.5',
    'segregato_node_state{node="master",state="healthy"} 1',
    'segregato_node_state{node="master",state="quarantined"} 0',
    String.raw`segregato_node_state{node="replica \"1\"\n\\",state="quarantined"} 1`,
    'segregato_node_role{node="master",role="primary"} 1',
    'segregato_node_lag_seconds{node="master"} 0',
    String.raw`segregato_node_failures{node="replica \"1\"\n\\"} 4`,
    String.raw`segregato_node_quarantine_seconds{node="replica \"1\"\n\\"} 1.5`,
    'segregato_connections{node="master",lane="write",state="busy"} 2',
    'segregato_connections{node="master",lane="read",state="idle"} 1',
    'segregato_connections_waiting{node="master",lane="write"} 2',
    'segregato_reads_total{node="replica2",role="replica",reason="balanced"} 2',
    'segregato_reads_total{node="replica2",role="replica",reason="retry"} 1',
    'segregato_writes_total{node="master"} 1',
    'segregato_errors_total{node="replica2",operation="read"} 1',
    'segregato_stale_reads_total{node="replica1"} 1',
    'segregato_quarantines_total{node="replica1",state="quarantined"} 1',
    'segregato_read_wait_seconds_bucket{le="0.01"} 1',
    'segregato_read_wait_seconds_bucket{le="0.025"} 3',
    'segregato_read_wait_seconds_bucket{le="+Inf"} 3',
    'segregato_read_wait_seconds_sum 0.04',
    'segregato_statement_duration_seconds_count 5',
    'segregato_transaction_statements_total{node="master"} 1',
    'segregato_errors_total{node="master",operation="transaction"} 1',
    'segregato_primary_changes_total{state="missing"} 1',
    'segregato_writes_state{state="available"} 1',
    'segregato_writes_state{state="split-brain"} 0',
  ])
    expect(lines).toContain(line)
  // What is not known is left out, not zero.
  expect(lines.filter((line) => line.startsWith('segregato_node_lag_seconds{'))).toHaveLength(1)
  expect(lines.join('\n')).not.toMatch(/secret|543[23]/)
})

test('HELP and TYPE stand once, in front of their samples', async () => {
  const lines = (await textOf(metrics(fake(), { labels: { cluster: 'a "b"' } }))).slice(0, -1)
  const names = lines
    .filter((line) => line.startsWith('# TYPE '))
    .map((line) => line.split(' ')[2]!)
  expect(new Set(names).size).toBe(names.length)
  let current = ''
  for (const line of lines) {
    const [, kind, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? []
    if (kind === 'HELP') current = name!
    else if (kind === 'TYPE') expect(name).toBe(current)
    else {
      expect(line.startsWith(current)).toBe(true)
      expect(line).toContain(String.raw`cluster="a \"b\""`)
    }
  }
})

test('labels that Prometheus does not allow are refused', () => {
  for (const name of ['', 'a b', '1a', '__own', 'a"', 'é'])
    expect(() => metrics(fake(), { labels: { [name]: 'x' } }), name).toThrow(InvalidArgumentError)
})

test('nothing is listened to before it is asked for', () => {
  const cluster = fake()
  expect(cluster.events.eventNames()).toEqual([])
  metrics(cluster)
  expect(cluster.events.listenerCount('query')).toBe(1)
})
