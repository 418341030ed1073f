/** A cluster on a database of its own, with what most tests of clusters need around it. */
import { connect as connectTo } from 'node:net'
import { afterAll, beforeAll } from 'vitest'
import type { Cluster, ConnectOptions } from '../../src/cluster/cluster.ts'
import { connect } from '../../src/cluster/connect.ts'
import type { TestClusterConfig } from '../../src/testing/start-cluster.ts'
import { freshDatabase } from './servers.ts'
import type { FreshDatabase } from './servers.ts'

/** Who answered, asked from the server itself. */
export const WHO = 'SELECT inet_server_port() AS port, pg_is_in_recovery() AS replica'

export interface ClusterFixture {
  readonly db: FreshDatabase
  /** Opens a cluster that is closed after the tests of the file. */
  open(
    options?: Omit<ConnectOptions, 'config'>,
    change?: (config: TestClusterConfig) => object,
  ): Cluster
  /** The name of the server that answered a `WHO`. */
  nameOf(row: { port: number } | undefined): string
}

/** On a busy machine a replica may take its time: that is no reason to read elsewhere. */
const PATIENT = { waitTimeoutMs: 20_000 }

/** Sets up a database with the given tables before the tests of a file and drops it after them. */
export const useCluster = (ddl: string): ClusterFixture => {
  let db: FreshDatabase
  const opened: Cluster[] = []
  beforeAll(async () => {
    db = await freshDatabase()
    await db.admin.query(ddl)
    await db.replicated()
  })
  afterAll(async () => {
    await Promise.all(opened.map((cluster) => cluster.close({ timeoutMs: 1_000 })))
    await db.drop()
  })
  return {
    get db() {
      return db
    },
    open: (options = {}, change = (config) => ({ ...config, settings: PATIENT })) => {
      const cluster = connect({ ...options, config: change(db.config) as never })
      opened.push(cluster)
      return cluster
    },
    nameOf: (row) =>
      Object.entries(db.config).find(([, node]) => node.port === row?.port)?.[0] ??
      `unknown port ${row?.port}`,
  }
}

/**
 * Loopback ports on which nobody listens: connecting to them is refused. They are low ones, which no
 * program is given that asks for a free one: a port that was free a moment ago may be taken by now.
 */
export const closedPorts = async (count: number): Promise<number[]> => {
  const ports: number[] = []
  for (let port = 1; ports.length < count; port++) if (await refuses(port)) ports.push(port)
  return ports
}

const refuses = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectTo(port, '127.0.0.1')
    socket.once('error', () => resolve(true))
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
  })

/** A configuration whose replicas are all unreachable. */
export const withDeadReplicas = (
  config: TestClusterConfig,
  ports: readonly number[],
): TestClusterConfig =>
  Object.fromEntries(
    Object.entries(config).map(([name, node], index) => [
      name,
      name === 'master' ? node : { ...node, port: ports[index - 1] },
    ]),
  ) as TestClusterConfig
