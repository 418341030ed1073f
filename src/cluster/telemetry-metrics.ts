import type { ConnectionCounts } from '../nodes/connections.ts'
import type { Node } from '../nodes/node.ts'
import type { Attributes, BatchResult, Counter, Histogram, Meter } from './telemetry-api.ts'

/** The part of a cluster that telemetry looks at. */
export interface TelemetrySource {
  readonly nodes: readonly Node[]
  readonly freshness: { lagMs(node: Node): number | undefined }
}

/** As the semantic conventions recommend, in seconds. */
const DURATION_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]

/** The instruments of one cluster on one meter. */
export class Metrics {
  readonly meter: Meter
  /** Seconds from the call to the answer. */
  readonly duration: Histogram
  /** Attempts that failed and were followed by another one. */
  readonly retries: Counter
  readonly #stop: () => void

  constructor(meter: Meter, source: TelemetrySource) {
    this.meter = meter
    this.duration = meter.createHistogram('db.client.operation.duration', {
      unit: 's',
      description: 'Duration of database client operations.',
      advice: { explicitBucketBoundaries: DURATION_BUCKETS },
    })
    this.retries = meter.createCounter('segregato.retries', {
      unit: '{attempt}',
      description: 'Attempts at a statement that failed and were repeated on another node.',
    })
    this.#stop = observeNodes(meter, source)
  }

  /** Lets go of the cluster: nothing of it is measured any more. */
  close(): void {
    this.#stop()
  }
}

/** Has the nodes' connections and lag read whenever metrics are collected. */
const observeNodes = (meter: Meter, source: TelemetrySource): (() => void) => {
  const upDown = (name: string, unit: string, description: string) =>
    meter.createObservableUpDownCounter(name, { unit, description })
  const count = upDown(
    'db.client.connection.count',
    '{connection}',
    'The number of connections that are currently in state described by the state attribute.',
  )
  const max = upDown(
    'db.client.connection.max',
    '{connection}',
    'The maximum number of open connections allowed.',
  )
  const pending = upDown(
    'db.client.connection.pending_requests',
    '{request}',
    'The number of current pending requests for an open connection.',
  )
  const lag = meter.createObservableGauge('segregato.replica.lag', {
    unit: 's',
    description: 'The most that a replica can be behind the primary, where that is known.',
  })
  const available = meter.createObservableGauge('segregato.node.available', {
    unit: '1',
    description: '1 for a node that takes statements, 0 for one in quarantine.',
  })
  const instruments = [count, max, pending, lag, available]
  const read = (result: BatchResult): void => {
    const now = performance.now()
    for (const node of source.nodes) {
      const attributes = { 'segregato.node': node.name, 'segregato.role': node.role }
      result.observe(available, node.isQuarantined(now) ? 0 : 1, attributes)
      const lagMs = node.role === 'replica' ? source.freshness.lagMs(node) : undefined
      if (lagMs !== undefined) result.observe(lag, lagMs / 1_000, attributes)
      for (const [purpose, counts] of connectionCounts(node)) {
        const pool = { ...attributes, 'db.client.connection.pool.name': poolName(node, purpose) }
        const inState = (state: string): Attributes => ({
          ...pool,
          'db.client.connection.state': state,
        })
        result.observe(count, counts.idleCount, inState('idle'))
        result.observe(count, counts.totalCount - counts.idleCount, inState('used'))
        result.observe(max, node.config.pool, pool)
        result.observe(pending, counts.waitingCount, pool)
      }
    }
  }
  meter.addBatchObservableCallback(read, instruments)
  return () => meter.removeBatchObservableCallback(read, instruments)
}

/** Connections for writing are opened on the primary only, and stay for a while when it is no longer. */
const connectionCounts = (node: Node): (readonly [string, ConnectionCounts])[] => {
  const read = ['read', node.read.counts] as const
  const write = ['write', node.write.counts] as const
  return node.role === 'primary' || write[1].totalCount > 0 ? [read, write] : [read]
}

/** The form that the conventions propose for pools without a name, and which of a node's two it is. */
const poolName = ({ config: { host, port, database } }: Node, purpose: string): string =>
  `${host}:${port}/${database} (${purpose})`
