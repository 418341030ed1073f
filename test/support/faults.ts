/** Servers of a test's own that may be broken, a way to each of them that may be broken, and what they have seen. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import type { QueryResultRow } from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Cluster, ConnectOptions } from '../../src/cluster/cluster.ts'
import { connect } from '../../src/cluster/connect.ts'
import type { NodeEvent } from '../../src/cluster/events.ts'
import type { FaultName } from '../../src/routing/error-table.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/start-cluster.ts'
import { openCuttingProxy } from './cutting-proxy.ts'
import type { CuttingProxy } from './cutting-proxy.ts'

export const SERVERS = ['master', 'replica1', 'replica2'] as const
export type ServerName = (typeof SERVERS)[number]

/** What a test changes in the configuration of one node. */
type Changes = Partial<Record<ServerName | 'settings', object>>

export interface FaultBed {
  readonly servers: TestCluster
  readonly proxies: Readonly<Record<ServerName, CuttingProxy>>
  /** Opens a cluster whose connections go straight to the servers, or through the proxies of those that are named. */
  open(changes?: Changes, options?: Omit<ConnectOptions, 'config'>, through?: ServerName[]): Cluster
  /** Runs SQL on a server, past the library and the proxies. */
  on<Row extends QueryResultRow>(
    server: ServerName,
    text: string,
    values?: unknown[],
  ): Promise<Row[]>
  /** A client of a test's own. */
  client(
    server: ServerName,
    as?: { readonly username: string; readonly password: string },
  ): Promise<Client>
  /** How often each server has begun to run a statement with this text in it. */
  runs(text: string): Record<ServerName, number>
  /** Waits until a server runs a statement with this text, and says by which process. */
  running(server: ServerName, text: string): Promise<number>
  /** The id of a server's first process. */
  postmaster(server: ServerName): number
  /** The server that answered a `WHO`. */
  nameOf(row: { port: number } | undefined): string | undefined
  /** Waits until all replicas show what the primary has committed. */
  replicated(): Promise<void>
}

/** Text that tells one statement from all others. */
export const mark = (): string => `/* ${randomUUID()} */`

/** Starts servers for the tests of a file; every cluster that a test has opened must come back to rest after it. */
export const useFaults = (settings: Record<string, string> = {}): FaultBed => {
  let servers: TestCluster
  let proxies: Record<ServerName, CuttingProxy>
  const opened: Cluster[] = []
  const clients = new Map<string, Promise<Client>>()
  const client = async (server: string, as = {}): Promise<Client> => {
    const { host, port, username: user, password, database } = { ...servers.config[server]!, ...as }
    const made = new Client({ host, port, user, password, database, application_name: 'beside' })
    made.on('error', () => clients.delete(server))
    await made.connect()
    return made
  }
  const on = async <Row extends QueryResultRow>(
    server: string,
    text: string,
    values: unknown[] = [],
  ): Promise<Row[]> => {
    const known = clients.get(server) ?? client(server)
    clients.set(server, known)
    known.catch(() => clients.delete(server))
    return (await (await known).query<Row>(text, values)).rows
  }

  beforeAll(async () => {
    servers = await startCluster({
      replicas: 2,
      settings: { log_statement: 'all', log_line_prefix: '# %a: ', ...settings },
    })
    const made = await Promise.all(SERVERS.map((name) => openCuttingProxy(servers.config[name]!)))
    proxies = Object.fromEntries(SERVERS.map((name, at) => [name, made[at]!])) as typeof proxies
    await on('master', 'CREATE TABLE posts (id int PRIMARY KEY)')
  })
  afterEach(async () => {
    for (const proxy of Object.values(proxies)) proxy.heal()
    await Promise.all(opened.splice(0).map((cluster) => comesToRest(cluster)))
  })
  afterAll(async () => {
    for (const each of await Promise.allSettled(clients.values()))
      if (each.status === 'fulfilled') await each.value.end()
    for (const proxy of Object.values(proxies)) await proxy.close()
    await servers?.close()
  })

  return {
    get servers() {
      return servers
    },
    get proxies() {
      return proxies
    },
    client,
    on,
    open: ({ settings: given, ...changes } = {}, options = {}, through = []) => {
      const nodes = SERVERS.map((name) => {
        const port = through.includes(name) ? { port: proxies[name].port } : {}
        return [name, { ...servers.config[name], ...port, ...changes[name] }] as const
      })
      // Each read goes where the test expects it, whatever was written before.
      const config = {
        ...Object.fromEntries(nodes),
        settings: { consistency: 'eventual', ...given },
      }
      const cluster = connect({ ...options, config: config as never })
      opened.push(cluster)
      return cluster
    },
    runs: (text) =>
      Object.fromEntries(
        SERVERS.map((name) => [name, runsIn(join(servers.directory, `${name}.log`), text)]),
      ) as Record<ServerName, number>,
    running: async (server, text) => {
      let pid: number | undefined
      await expect
        .poll(async () => (pid = (await on<{ pid: number }>(server, RUNNING, [text]))[0]?.pid), {
          timeout: 15_000,
        })
        .toBeDefined()
      return pid!
    },
    postmaster: (server) =>
      Number(
        readFileSync(join(servers.directory, server, 'postmaster.pid'), 'utf8').split('\n')[0],
      ),
    nameOf: (row) => SERVERS.find((name) => servers.config[name]!.port === row?.port),
    replicated: async () => {
      const [row] = await on<{ lsn: string }>('master', 'SELECT pg_current_wal_flush_lsn() AS lsn')
      for (const name of ['replica1', 'replica2'] as const) {
        const caughtUp = 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done'
        await expect
          .poll(async () => (await on(name, caughtUp, [row!.lsn]))[0]!['done'], { timeout: 15_000 })
          .toBe(true)
      }
    },
  }
}

const RUNNING = `SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
  AND position($1 in query) > 0`

/** The servers write each statement to their log before they run it; those of the tests' own clients do not count. */
const runsIn = (file: string, text: string): number =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => !line.startsWith('# beside:') && /LOG: {2}(?:statement|execute)/.test(line))
    .filter((line) => line.includes(text)).length

/** Nobody holds or waits for a connection any more. */
const comesToRest = async (cluster: Cluster): Promise<void> => {
  const held = (): number =>
    cluster
      .status()
      .nodes.flatMap(({ read, write }) => [read, write])
      .reduce(
        (sum, each) => sum + (each ? each.totalCount - each.idleCount + each.waitingCount : 0),
        0,
      )
  await expect.poll(held, { timeout: 15_000 }).toBe(0)
  await cluster.close({ timeoutMs: 1_000 })
}

/** Changes of nodes, or of one node, as far as they have been announced: `replica1 quarantined ECONNREFUSED`. */
export const announced = (cluster: Cluster, only?: ServerName): string[] => {
  const seen: string[] = []
  cluster.events.on('node', ({ node, state, error }: NodeEvent) => {
    if (only === undefined || node === only)
      seen.push([node, state, error].filter(Boolean).join(' '))
  })
  return seen
}

/** What a promise rejects with. */
export const failureOf = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('It did not fail')
}

/** A test of one row of the table of faults; coverage.test.ts finds them by this name. */
export const row = (name: FaultName, what: string, run: () => Promise<void>): void => {
  test(`${name}: ${what}`, run)
}
