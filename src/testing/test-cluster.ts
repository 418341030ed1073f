import { rmSync } from 'node:fs'
import type { Client } from 'pg'
import { TestClusterError } from '../errors.ts'
import type { Installation } from './installation.ts'
import { cloneFrom, isReplica, joins, pointAt, release, reserve, streaming } from './replication.ts'
import type { Server } from './server.ts'
import { type Access, rowsOf, until, withClient } from './sql.ts'
import { USER } from './template.ts'
import type { Watchdog } from './watchdog.ts'

/** How one server of the test cluster is reached, in the form that `connect({ config })` takes. */
export interface TestNodeConfig {
  /** The loopback address. */
  readonly host: string
  /** The server's port; it stays the same over `stop`, `kill` and `start`. */
  readonly port: number
  /** The option `database`. */
  readonly database: string
  /** A superuser. */
  readonly username: string
  /** The option `password`, else a random one. */
  readonly password: string
  /** The option `pool`. */
  readonly pool: number
}

/** The configuration of a test cluster: `master`, `replica1`, `replica2`, … */
export type TestClusterConfig = {
  /** The primary. */
  readonly master: TestNodeConfig
} & Readonly<Record<string, TestNodeConfig>>

/**
 * A running PostgreSQL primary with its replicas, and what can be done to them. Servers are named as
 * in the configuration: `master`, `replica1`, `replica2`, … They keep their names when roles change.
 * Every method resolves when its effect is there, and throws `TestClusterError` for an unknown name.
 */
export interface TestCluster extends AsyncDisposable {
  /** For `connect({ config })`. */
  readonly config: TestClusterConfig
  /** Where the servers' data and logs (`<name>.log`) lie until `close()`. */
  readonly directory: string
  /** The server's connection URL, password included. */
  url(name: string): string
  /** The replica goes on receiving changes and shows none of them: it falls behind. */
  pauseReplay(name: string): Promise<void>
  /** The replica shows what it has received, and goes on. */
  resumeReplay(name: string): Promise<void>
  /** The replica shows each change `ms` milliseconds after it was committed; 0 ends that. */
  setApplyDelay(name: string, ms: number): Promise<void>
  /** The server stands still (SIGSTOP): connections stay open, and nobody answers. */
  freeze(name: string): Promise<void>
  /** A frozen server goes on. */
  thaw(name: string): Promise<void>
  /** The server stops in order: it ends its sessions and tells its clients. */
  stop(name: string): Promise<void>
  /** A stopped or killed server starts again, with its data, on its port. */
  start(name: string): Promise<void>
  /** All processes of the server die at once, without a word to its clients. */
  kill(name: string): Promise<void>
  /** The replica becomes a primary. What the old primary and other replicas do is left to them: see `stop` and `follow`. */
  promote(name: string): Promise<void>
  /**
   * The server replicates from `primary` from now on. A replica is pointed at it; one whose history
   * does not allow that, such as an old primary, gets a new copy of the primary's data. A pause of
   * its replay and an apply delay end with it.
   */
  follow(name: string, primary: string): Promise<void>
  /** Ends all servers and removes their data. May be called again. */
  close(): Promise<void>
}

interface Parts {
  readonly servers: readonly Server[]
  readonly database: string
  readonly password: string
  readonly pool: number
  readonly directory: string
  readonly installation: Installation
  readonly watchdog: Watchdog
}

export class RunningCluster implements TestCluster {
  readonly #parts: Parts
  #closing: Promise<void> | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get directory(): string {
    return this.#parts.directory
  }

  get config(): TestClusterConfig {
    const { servers, database, password, pool } = this.#parts
    return Object.fromEntries(
      servers.map(({ name, port }) => [
        name,
        { host: '127.0.0.1', port, database, username: USER, password, pool },
      ]),
    ) as TestClusterConfig
  }

  url(name: string): string {
    const { port } = this.#server(name)
    return `postgres://${USER}:${encodeURIComponent(this.#parts.password)}@127.0.0.1:${port}/${encodeURIComponent(this.#parts.database)}`
  }

  async pauseReplay(name: string): Promise<void> {
    const replica = this.#answering(name)
    await withClient(this.#access(replica), async (client) => {
      await client.query('SELECT pg_wal_replay_pause()')
      await until(`${name} pauses its replay`, async () => {
        const { rows } = await client.query<{ state: string }>(
          'SELECT pg_get_wal_replay_pause_state() AS state',
        )
        return rows[0]?.state === 'paused'
      })
    })
  }

  async resumeReplay(name: string): Promise<void> {
    await rowsOf(this.#access(this.#answering(name)), 'SELECT pg_wal_replay_resume()')
  }

  async setApplyDelay(name: string, ms: number): Promise<void> {
    if (!Number.isInteger(ms) || ms < 0)
      throw new TestClusterError(`setApplyDelay: ${ms} is not a number of milliseconds`)
    const replica = this.#answering(name)
    replica.settings.set('recovery_min_apply_delay', String(ms))
    replica.reload()
    await this.#hasSetting(replica, 'recovery_min_apply_delay', String(ms))
  }

  async freeze(name: string): Promise<void> {
    this.#answering(name).freeze()
  }

  async thaw(name: string): Promise<void> {
    this.#server(name).thaw()
  }

  async stop(name: string): Promise<void> {
    await this.#server(name).stop()
  }

  async start(name: string): Promise<void> {
    await this.#server(name).start()
  }

  async kill(name: string): Promise<void> {
    await this.#server(name).kill()
  }

  async promote(name: string): Promise<void> {
    const replica = this.#answering(name)
    const [row] = await rowsOf<{ promoted: boolean }>(
      this.#access(replica),
      'SELECT pg_promote(true, 60) AS promoted',
    )
    if (row?.promoted !== true)
      throw new TestClusterError(`${name} was not promoted within 60 seconds`)
  }

  async follow(name: string, primary: string): Promise<void> {
    const [follower, leader] = [this.#server(name), this.#answering(primary)]
    if (follower === leader) throw new TestClusterError(`${name} cannot follow itself`)
    if (isReplica(leader)) throw new TestClusterError(`${primary} is a replica. Promote it first`)
    follower.thaw()
    const access = this.#access(leader)
    await withClient(access, async (client) => {
      if (isReplica(follower) && (await this.#redirect(follower, leader, client))) return
      await follower.stop()
      await cloneFrom(client, leader, [follower], this.#parts.installation)
      pointAt(follower, leader, access)
      await follower.start()
      await streaming(client, [follower])
    })
    await this.#releaseElsewhere(follower, leader)
  }

  /** False when the follower's history does not lead into the leader's. */
  async #redirect(follower: Server, leader: Server, client: Client): Promise<boolean> {
    const access = this.#access(leader)
    const logBefore = follower.logText().length
    await reserve(client, follower)
    pointAt(follower, leader, access)
    if (follower.isRunning) {
      follower.reload()
      await rowsOf(this.#access(follower), 'SELECT pg_wal_replay_resume()')
    } else {
      await follower.start()
    }
    return joins(client, follower, access, logBefore)
  }

  /** The servers that it followed before would keep their logs for it for ever. */
  async #releaseElsewhere(follower: Server, leader: Server): Promise<void> {
    for (const other of this.#parts.servers) {
      if (other === follower || other === leader || !other.isRunning || other.isFrozen) continue
      await withClient(this.#access(other), (client) => release(client, follower))
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    const { servers, watchdog, directory } = this.#parts
    await Promise.all(servers.map((server) => server.kill()))
    await watchdog.end().catch(() => undefined)
    // Already gone unless somebody has killed the watchdog.
    rmSync(directory, { recursive: true, force: true })
  }

  /** Alias of {@link TestCluster.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #server(name: string): Server {
    const { servers } = this.#parts
    const server = servers.find((one) => one.name === name)
    if (server === undefined) {
      throw new TestClusterError(
        `No server is called '${name}'. There are: ${servers.map((one) => one.name).join(', ')}`,
      )
    }
    if (this.#closing !== undefined) throw new TestClusterError('The test cluster is closed')
    return server
  }

  #answering(name: string): Server {
    const server = this.#server(name)
    if (!server.isRunning)
      throw new TestClusterError(`${name} does not run. start('${name}') first`)
    if (server.isFrozen) throw new TestClusterError(`${name} is frozen. thaw('${name}') first`)
    return server
  }

  #access({ port }: Server): Access {
    return { port, user: USER, password: this.#parts.password }
  }

  #hasSetting(server: Server, setting: string, value: string): Promise<void> {
    return until(`${setting} = ${value} on ${server.name}`, async () => {
      const [row] = await rowsOf<{ setting: string }>(
        this.#access(server),
        'SELECT setting FROM pg_settings WHERE name = $1',
        [setting],
      )
      return row?.setting === value
    })
  }
}
