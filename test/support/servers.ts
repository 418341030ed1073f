/**
 * The servers that all integration tests share: a primary (`master`) and two streaming replicas
 * (`replica1`, `replica2`), started once by test/integration/global-setup.ts.
 *
 * - `freshDatabase()`: an empty database of one's own, there on all three servers; one per test file
 *   (or test), dropped by `drop()` or `await using`.
 * - `db.config` for `connect({ config: db.config })`; `db.admin` and `db.on('replica1')` run SQL past
 *   the library; `db.replicated()` waits until both replicas show what the primary has committed.
 * - `watchStatements(db.name)`: which statements each server received from now on.
 *
 * Tests that pause, freeze, stop, kill or promote start servers of their own with `startCluster()`
 * of src/testing/start-cluster.ts: others use these at the same time.
 *
 * @example
 * ```ts
 * const db = await freshDatabase()
 * afterAll(() => db.drop())
 *
 * test('a refused write reaches no server', async () => {
 *   await db.admin.query('CREATE TABLE posts (id int)')
 *   await db.replicated()
 *   const log = await watchStatements(db.name)
 *   await expect(read()).rejects.toThrow(StrictReadModelError)
 *   expect(await log.statements()).toEqual([])
 * })
 * ```
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, QueryResult, QueryResultRow } from 'pg'
import type { TestClusterConfig, TestNodeConfig } from '../../src/testing/start-cluster.ts'
import { clientFor, sharedCluster, withClient } from './shared-cluster.ts'

export { clientFor, sharedCluster } from './shared-cluster.ts'
export { watchStatements } from './statements.ts'

/** Runs SQL on one server, past the library, as superuser. */
export interface Sql {
  query<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>>
}

/** A database of one's own on the shared servers. */
export interface FreshDatabase extends AsyncDisposable {
  readonly name: string
  /** For `connect({ config })`. */
  readonly config: TestClusterConfig
  /** On the primary. */
  readonly admin: Sql
  /** On `master`, `replica1` or `replica2`. */
  on(server: string): Sql
  /** Resolves when all replicas show what the primary has committed so far. */
  replicated(): Promise<void>
  /** Closes the helpers' connections, ends all others, and drops the database. */
  drop(): Promise<void>
}

export const freshDatabase = async (): Promise<FreshDatabase> => {
  const { config: shared } = sharedCluster()
  const name = `test_${randomBytes(6).toString('hex')}`
  const config = Object.fromEntries(
    Object.entries(shared).map(([server, node]) => [server, { ...node, database: name }]),
  ) as TestClusterConfig
  await once(shared.master, `CREATE DATABASE ${name}`)

  const clients = new Map<string, Promise<Client>>()
  const connected = (server: string): Promise<Client> => {
    const node = config[server]
    if (node === undefined) throw new Error(`The shared cluster has no server called ${server}`)
    const known = clients.get(server)
    if (known !== undefined) return known
    const client = clientFor(node)
    const opening = client.connect().then(() => client)
    clients.set(server, opening)
    return opening
  }
  const on = (server: string): Sql => ({
    query: async (text, values) => (await connected(server)).query(text, values && [...values]),
  })
  const replicated = async (): Promise<void> => {
    const { rows } = await on('master').query<{ lsn: string }>(
      'SELECT pg_current_wal_flush_lsn() AS lsn',
    )
    const lsn = rows[0]?.lsn
    for (const server of Object.keys(config).filter((key) => key !== 'master')) {
      await eventually(
        server,
        shared[server]!,
        'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done',
        lsn,
      )
    }
  }
  const drop = async (): Promise<void> => {
    const open = await Promise.allSettled(clients.values())
    clients.clear()
    await Promise.all(
      open.map(async (one) => one.status === 'fulfilled' && (await one.value.end())),
    )
    await once(shared.master, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  }

  for (const [server, node] of Object.entries(shared)) {
    await eventually(
      server,
      node,
      'SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1) AS done',
      name,
    )
  }
  return { name, config, admin: on('master'), on, replicated, drop, [Symbol.asyncDispose]: drop }
}

const once = (node: TestNodeConfig, text: string): Promise<unknown> =>
  withClient(node, (client) => client.query(text))

const eventually = (
  server: string,
  node: TestNodeConfig,
  text: string,
  value: unknown,
): Promise<void> =>
  withClient(node, async (client) => {
    const end = Date.now() + 30_000
    while ((await client.query<{ done: boolean }>(text, [value])).rows[0]?.done !== true) {
      if (Date.now() > end) throw new Error(`${server} does not follow: ${text}`)
      await sleep(5)
    }
  })
