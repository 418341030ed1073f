/** A cluster on servers of its own, whose nodes are hurt and watched. */
import { afterAll, beforeAll, expect } from 'vitest'
import type { Cluster, ConnectOptions } from '../../src/cluster/cluster.ts'
import { connect } from '../../src/cluster/connect.ts'
import type { NodeEvent } from '../../src/cluster/events.ts'
import type { NodeStatus } from '../../src/cluster/status.ts'
import type { ClusterConfigInput, SettingsInput } from '../../src/config/input.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/start-cluster.ts'
import { clientFor } from './shared-cluster.ts'

/** Probes come once a second, and a loaded machine is slow. */
export const PATIENCE = { timeout: 25_000, interval: 20 }

export interface Observed {
  readonly cluster: Cluster
  /** Every change of health since the cluster was opened. */
  readonly events: readonly NodeEvent[]
  status(node: string): NodeStatus
  /** Waits until a node's status is like this. */
  until(node: string, like: Partial<NodeStatus>): Promise<void>
  /** Waits until every node has said what it is. */
  known(): Promise<void>
}

/** Opens a cluster, and lets its monitor begin. */
export const observe = async (
  config: ClusterConfigInput,
  options: Omit<ConnectOptions, 'config'> = {},
): Promise<Observed> => {
  const cluster = connect({ ...options, config })
  const events: NodeEvent[] = []
  cluster.events.on('node', (event) => events.push(event))
  const status = (name: string): NodeStatus => {
    const found = cluster.status().nodes.find(({ node }) => node === name)
    if (found === undefined) throw new Error(`no node is called ${name}`)
    return found
  }
  const known = async (): Promise<void> => {
    await expect
      .poll(
        () => cluster.status().nodes.every(({ observedAgoMs }) => observedAgoMs !== undefined),
        PATIENCE,
      )
      .toBe(true)
  }
  await cluster.writer.query('SELECT 1')
  return {
    cluster,
    events,
    status,
    known,
    until: (node, like) => expect.poll(() => status(node), PATIENCE).toMatchObject(like),
  }
}

/** Servers for the tests of one file. */
export interface ObservedServers {
  readonly servers: TestCluster
  /** Opens a cluster on them that is closed after the tests of the file. */
  open(settings?: SettingsInput, options?: Omit<ConnectOptions, 'config'>): Promise<Observed>
  /** Runs SQL on one server, past the library. */
  sql<Row>(server: string, text: string): Promise<Row[]>
}

export const useServers = (replicas: number): ObservedServers => {
  let servers: TestCluster
  const opened: Cluster[] = []
  beforeAll(async () => {
    servers = await startCluster({ replicas })
  })
  afterAll(async () => {
    await Promise.all(opened.map((cluster) => cluster.close({ timeoutMs: 1_000 })))
    await servers?.close()
  })
  return {
    get servers() {
      return servers
    },
    open: async (settings, options) => {
      const observed = await observe({ ...servers.config, ...(settings && { settings }) }, options)
      opened.push(observed.cluster)
      return observed
    },
    sql: async <Row>(server: string, text: string) => {
      const client = clientFor(servers.config[server]!)
      await client.connect()
      try {
        return (await client.query(text)).rows as Row[]
      } finally {
        await client.end()
      }
    },
  }
}
