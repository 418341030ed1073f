import type { Cluster } from '../cluster/cluster.ts'
import type { QueryEvent } from '../cluster/events.ts'
import type { RouteReason } from '../cluster/statement.ts'
import type { ClusterStatus, NodeStatus } from '../cluster/status.ts'
import { InvalidArgumentError } from '../errors.ts'
import { httpHandler } from './answer.ts'
import type { HttpHandler } from './answer.ts'
import { Counters, formatMetrics, Histogram, PROMETHEUS_TYPE } from './prometheus.ts'
import type { Labels, Metric, Sample } from './prometheus.ts'

/** What stands in the metrics besides what is measured. */
export interface MetricsOptions {
  /** Labels that each sample gets, such as `{ cluster: 'blog' }` where a process has several. */
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** From a fraction of a millisecond, which is usual, to the longest that anybody waits. */
const BOUNDS_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * Gives the cluster's metrics in Prometheus' text format. Counting begins with this call: call it
 * once, at the start. Nothing in it is SQL, a value or an address.
 *
 * @throws InvalidArgumentError for a label whose name Prometheus does not allow
 *
 * @example
 * ```ts
 * app.get('/metrics', metrics(cluster))
 * ```
 */
export const metrics = (
  cluster: Pick<Cluster, 'events' | 'status'>,
  { labels = {} }: MetricsOptions = {},
): HttpHandler => {
  for (const name of Object.keys(labels)) {
    // Those with two underscores in front are Prometheus' own.
    if (!/^(?!__)[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new InvalidArgumentError(`metrics(): '${name}' is no name of a label`)
  }
  const collected = collect(cluster.events)
  return httpHandler(async () => ({
    status: 200,
    type: PROMETHEUS_TYPE,
    body: formatMetrics([...present(cluster), ...collected()], labels),
  }))
}

/** Counts what happens from now on; returns the counts of the moment. */
const collect = (events: Cluster['events']): (() => readonly Metric[]) => {
  const reads = new Counters()
  const writes = new Counters()
  const inTransactions = new Counters()
  const errors = new Counters()
  const stale = new Counters()
  const quarantines = new Counters()
  const primaries = new Counters()
  const waited = new Histogram(BOUNDS_S)
  const duration = new Histogram(BOUNDS_S)
  events.on('query', ({ node, role, reason, waitedMs, durationMs, outcome }: QueryEvent) => {
    const operation = operationOf(reason)
    if (operation === 'write') writes.add({ node })
    else if (operation === 'transaction') inTransactions.add({ node })
    else {
      reads.add({ node, role, reason })
      waited.observe(waitedMs / 1_000)
    }
    duration.observe(durationMs / 1_000)
    if (outcome === 'error') errors.add({ node, operation })
  })
  events.on('stale', ({ node }) => stale.add({ node }))
  events.on('node', ({ node, state }) => {
    if (state !== 'healthy') quarantines.add({ node, state })
  })
  events.on('primary', ({ state }) => primaries.add({ state }))
  return () => [
    counter('reads_total', 'Reads outside transactions, by node and reason.', reads),
    counter('writes_total', 'Writes outside transactions, by node.', writes),
    counter('transaction_statements_total', 'Statements in transactions.', inTransactions),
    counter('errors_total', 'Statements that gave their caller an error.', errors),
    counter('stale_reads_total', 'Reads that may have missed a write of this process.', stale),
    counter('quarantines_total', 'How often a node was left alone after failures.', quarantines),
    counter('primary_changes_total', 'How often the primary was found, or lost.', primaries),
    {
      name: 'segregato_read_wait_seconds',
      type: 'histogram',
      help: 'How long reads waited for a replica to catch up.',
      samples: waited.samples,
    },
    {
      name: 'segregato_statement_duration_seconds',
      type: 'histogram',
      help: 'From the call to the answer: checkout, connect, statement and retries.',
      samples: duration.samples,
    },
  ]
}

const operationOf = (reason: RouteReason): 'read' | 'write' | 'transaction' =>
  reason === 'write' || reason === 'transaction' ? reason : 'read'

const counter = (name: string, help: string, { samples }: Counters): Metric => ({
  name: `segregato_${name}`,
  type: 'counter',
  help,
  samples,
})

const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
  name: `segregato_${name}`,
  type: 'gauge',
  help,
  samples,
})

/** All values of a type, which does not compile when one is missing. */
const valuesOf = <Value extends string>(values: Record<Value, true>): readonly string[] =>
  Object.keys(values)

const WRITES = valuesOf<ClusterStatus['writes']>({
  available: true,
  'no-primary': true,
  'split-brain': true,
})
const STATES = valuesOf<NodeStatus['state']>({
  healthy: true,
  quarantined: true,
  misconfigured: true,
  'wrong-server': true,
})
const ROLES = valuesOf<NodeStatus['role']>({ primary: true, replica: true })

/** What the process knows at this moment. */
const present = (cluster: Pick<Cluster, 'status'>): readonly Metric[] => {
  const { state, replicaShare, nodes, writes } = cluster.status()
  const each = (samples: (node: NodeStatus, labels: Labels) => readonly Sample[]): Sample[] =>
    nodes.flatMap((node) => samples(node, { node: node.node }))
  return [
    gauge('open', 'Whether the cluster takes new work.', [one({}, state === 'open')]),
    gauge(
      'writes_state',
      'What is known of where writes go: the present state has the value 1.',
      WRITES.map((name) => one({ state: name }, writes === name)),
    ),
    gauge('replica_share', 'The share of reads that replicas serve.', [one({}, replicaShare)]),
    gauge(
      'node_state',
      'The state that a node is in has the value 1.',
      each((node, labels) =>
        STATES.map((name) => one({ ...labels, state: name }, node.state === name)),
      ),
    ),
    gauge(
      'node_role',
      'The role that a node has has the value 1.',
      each((node, labels) => ROLES.map((role) => one({ ...labels, role }, node.role === role))),
    ),
    gauge(
      'node_lag_seconds',
      'The most that a node can be behind the primary, where that is known.',
      each(({ lagMs }, labels) => (lagMs === undefined ? [] : [one(labels, lagMs / 1_000)])),
    ),
    gauge(
      'node_failures',
      'Failures of a node since its last success.',
      each(({ failures }, labels) => [one(labels, failures)]),
    ),
    gauge(
      'node_quarantine_seconds',
      'How long a node is still left alone.',
      each(({ quarantineMs }, labels) => [one(labels, quarantineMs / 1_000)]),
    ),
    gauge('connections', 'Connections of this process, by node and lane.', each(connections)),
    gauge(
      'connections_waiting',
      'Calls that wait for a connection.',
      each((node, labels) =>
        lanesOf(node).map(({ lane, counts }) => one({ ...labels, lane }, counts.waitingCount)),
      ),
    ),
  ]
}

const one = (labels: Labels, value: number | boolean): Sample => ({ labels, value: Number(value) })

const lanesOf = ({ read, write }: NodeStatus) => [
  { lane: 'read', counts: read },
  ...(write === undefined ? [] : [{ lane: 'write', counts: write }]),
]

const connections = (node: NodeStatus, labels: Labels): readonly Sample[] =>
  lanesOf(node).flatMap(({ lane, counts: { totalCount, idleCount } }) => [
    one({ ...labels, lane, state: 'idle' }, idleCount),
    one({ ...labels, lane, state: 'busy' }, totalCount - idleCount),
  ])
