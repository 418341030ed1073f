import { Client } from 'pg'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import type { ProxyMode } from '../../support/fault-proxy.ts'
import type { Crew } from '../crew.ts'
import type { Slot } from './schedule.ts'

/** Replicas are always this late: on an idle loopback what is wrong does not show. */
export const USUAL_DELAY_MS = 20

/** What belongs to the run itself in `pg_stat_activity`. */
export const OWN_NAME = 'chaos control'

/** The ways to the servers. */
export interface Ways {
  set(node: string, mode: ProxyMode, delayMs?: number): Promise<void>
  reset(node: string): Promise<void>
}

/** What the nemesis can reach: the servers, the ways to them, the processes that use them. */
export class Stage {
  readonly servers: TestCluster
  readonly ways: Ways
  readonly crew: Crew
  /** The server that accepts writes now. */
  primary = 'master'

  constructor(servers: TestCluster, ways: Ways, crew: Crew) {
    this.servers = servers
    this.ways = ways
    this.crew = crew
  }

  get nodes(): readonly string[] {
    return Object.keys(this.servers.config)
  }

  get replicas(): readonly string[] {
    return this.nodes.filter((node) => node !== this.primary)
  }

  nodeIn(slot: Slot): string {
    const node = slot === 'primary' ? this.primary : this.replicas[slot === 'first replica' ? 0 : 1]
    if (node === undefined) throw new Error(`There is no ${slot}`)
    return node
  }

  /** A connection past the library and the proxies, which the caller ends. */
  async open(node: string): Promise<Client> {
    const { host, port, database, username: user, password } = this.servers.config[node]!
    const client = new Client({
      host,
      port,
      database,
      user,
      password,
      application_name: OWN_NAME,
      connectionTimeoutMillis: 5_000,
    })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  async withClient<T>(node: string, use: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.open(node)
    try {
      return await use(client)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}
