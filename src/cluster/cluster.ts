import { loadConfig } from '../config/load.ts'
import type { ClusterConfigInput, LoadOptions } from '../config/input.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { PoolOptions } from '../nodes/options.ts'
import { randomKey } from '../routing/token.ts'
import type { TokenKey } from '../routing/token.ts'
import { closeCore, closeTimeout } from './close.ts'
import type { CloseOptions } from './close.ts'
import { within } from './context.ts'
import { Core } from './core.ts'
import type { EventSource } from './events.ts'
import { observeScope } from './observe.ts'
import { checkFunction, checkOptionNames } from './option-names.ts'
import { ReaderPool } from './reader-pool.ts'
import { applyConfig } from './reload.ts'
import type { ReloadOptions } from './reload.ts'
import { runSnapshot } from './snapshot.ts'
import type { SnapshotOptions } from './snapshot.ts'
import type { Executor, PageReader, RoutedPool, Target } from './statement.ts'
import { checkTokenKeys, currentToken, runSession } from './session.ts'
import type { OpenSession, SessionOptions } from './session.ts'
import { statusOf } from './status.ts'
import type { ClusterStatus } from './status.ts'
import { runTransaction } from './transaction.ts'
import type { TransactionOptions } from './transaction.ts'
import { verifyCluster } from './verify.ts'
import type { VerifiedNode } from './verify.ts'
import { WriterPool } from './writer-pool.ts'

/** What `connect()` takes. */
export interface ConnectOptions {
  /** The environment of the file. @defaultValue `DB_ENV`, else `NODE_ENV` when the file has it, else `development` */
  readonly env?: string
  /** A configuration file's path, or the configuration itself. @defaultValue `DB_CONFIG`, else `database.yml` */
  readonly config?: string | ClusterConfigInput
  /** Options of `pg.Pool` for the connections of every node, such as `onConnect` and `maxUses`. */
  readonly pool?: PoolOptions
  /**
   * The keys of `token()`: the first signs, all verify, so that keys can be rotated. Processes that
   * take each other's tokens need the same. @defaultValue a random key for this process
   */
  readonly tokenKeys?: readonly TokenKey[]
}

/**
 * One primary and its replicas. Statements go through `writer`, `reader` and the models; the
 * cluster itself opens scopes and tells how the nodes are.
 *
 * @example
 * ```ts
 * const cluster = connect()
 * await cluster.transaction(async () => {
 *   const post = await PostCommand.create({ title: 'Hello' })
 *   await cluster.writer.query('NOTIFY posts')
 * })
 * await cluster.close()
 * ```
 */
export class Cluster {
  /** A `pg.Pool` whose statements all go to the primary. */
  readonly writer: RoutedPool & Executor
  /** A `pg.Pool` whose statements go to the replicas in turn, and may not write. */
  readonly reader: RoutedPool & Executor & PageReader
  readonly #core: Core
  readonly #tokenKeys: readonly TokenKey[]
  readonly #onClose: (cluster: Cluster) => void
  #source: LoadOptions
  #closing: Promise<void> | undefined

  /** @internal Use `connect()`. */
  constructor(options: ConnectOptions, onClose: (cluster: Cluster) => void) {
    checkOptionNames('connect()', options, ['env', 'config', 'pool', 'tokenKeys'])
    const { pool = {}, tokenKeys, ...source } = options
    this.#tokenKeys = tokenKeys === undefined ? [randomKey()] : checkTokenKeys(tokenKeys)
    this.#source = source
    const config = loadConfig(source)
    if (config.notices.length > 0) {
      process.emitWarning(config.notices.join('\n'), {
        type: 'SegregatoNotice',
        code: 'SEGREGATO_NOTICE',
      })
    }
    this.#core = new Core(config, pool)
    this.#onClose = onClose
    this.writer = new WriterPool(this.#core) as unknown as RoutedPool & Executor
    this.reader = new ReaderPool(this.#core) as unknown as RoutedPool & Executor & PageReader
  }

  /** Changes of the nodes' health, and statements when somebody listens. */
  get events(): EventSource {
    return this.#core.events
  }

  /**
   * The share of reads that replicas serve, 0 to 1: kill switch, gradual roll-out and shadow mode.
   * At 0 the primary serves everything, and `query` events still tell in `shadow` which replica
   * would have.
   */
  get replicaShare(): number {
    return this.#core.router.share
  }

  /** @throws InvalidArgumentError for a number outside 0 to 1 */
  set replicaShare(share: number) {
    if (!(typeof share === 'number' && share >= 0 && share <= 1))
      throw new InvalidArgumentError(`replicaShare must be between 0 and 1, not ${share}`)
    this.#core.router.share = share
  }

  /**
   * Runs a function in one transaction on the primary. Models and pools used inside join it, reads
   * included; a nested `transaction()` is a savepoint. Commits when the function's promise
   * resolves, rolls back when it rejects.
   *
   * @throws WriteOutcomeUnknownError when the connection is lost during COMMIT
   * @throws TransactionRolledBackError when a failed statement's error was caught inside
   * @throws DeadlineExceededError after `timeoutMs`
   */
  async transaction<T>(fn: () => PromiseLike<T>, options: TransactionOptions = {}): Promise<T> {
    checkFunction('transaction()', fn)
    return observeScope(this.#core, 'transaction', fn, (work) =>
      runTransaction(this.#core, work, options),
    )
  }

  /**
   * Runs a function in one REPEATABLE READ, READ ONLY transaction on one replica, so that all its
   * reads see the same state.
   *
   * @throws ScopeNestingError for a write inside it
   */
  async snapshot<T>(fn: () => PromiseLike<T>, options: SnapshotOptions = {}): Promise<T> {
    checkFunction('snapshot()', fn)
    return observeScope(this.#core, 'snapshot', fn, (work) =>
      runSnapshot(this.#core, work, options),
    )
  }

  /**
   * Runs a function in a causal scope of its own: its reads see its own writes and never go back in
   * time, and it never takes less. Without one, the whole process is a scope in which reads see
   * all writes of the process.
   *
   * @throws StaleReplicasError when neither a replica nor the primary can serve a read in time
   *
   * @example
   * ```ts
   * const token = await cluster.session(async () => {
   *   await PostCommand.create({ title: 'Hello' })
   *   return cluster.token()
   * })
   * await cluster.session(() => PostQuery.all(), { token }) // in any process with the same tokenKeys
   * ```
   */
  async session<T>(
    fn: (session: OpenSession) => PromiseLike<T>,
    options: SessionOptions = {},
  ): Promise<T> {
    checkFunction('session()', fn)
    return runSession(this.#core, this.#tokenKeys, fn, options)
  }

  /**
   * What the present session has written and seen, as a signed string of at most 128 characters for a
   * cookie, a header or a job; `undefined` when it has done neither, or no position is known.
   */
  token(): Promise<string | undefined> {
    return currentToken(this.#core, this.#tokenKeys)
  }

  /**
   * Sends the reads of a function, and of everything it calls, to one node, to the nodes of one
   * tag, or to one role.
   *
   * @throws UnknownNodeError when nothing has this name
   */
  async using<T>(target: Target, fn: () => PromiseLike<T>): Promise<T> {
    checkFunction('using()', fn)
    const core = this.#core
    core.assertOpen()
    core.candidates.meantBy(target)
    return within({ core, using: target }, fn)
  }

  /**
   * Asks every server who it is: the master must not be in recovery, each replica must be, and all
   * must have one system identifier.
   *
   * @throws ClusterVerificationError that names each node that is wrong
   */
  verify(): Promise<VerifiedNode[]> {
    return verifyCluster(this.#core)
  }

  /** What this process knows of its nodes; asks no server. */
  status(): ClusterStatus {
    return statusOf(this.#core)
  }

  /**
   * Reads the configuration again and puts it in place at once: replicas come and go, settings
   * change, a promoted replica may have become the master. A node stays while host, port, database,
   * user and the way it is connected stay; what runs on others may finish within `timeoutMs`.
   * When the configuration has a mistake nothing changes. Resolves when what has left is closed.
   *
   * @throws ConfigError with all mistakes, or when the master is a server that was no node so far
   *
   * @example
   * ```ts
   * process.on('SIGHUP', () => {
   *   cluster.reload().catch((error: unknown) => console.error(error))
   * })
   * ```
   */
  async reload(options: ReloadOptions = {}): Promise<void> {
    checkOptionNames('reload()', options, ['env', 'config', 'timeoutMs'])
    const { timeoutMs, ...source } = options
    this.#core.assertOpen()
    const limitMs = timeoutMs === undefined ? undefined : closeTimeout({ timeoutMs })
    const next = { ...this.#source, ...source }
    const applied = applyConfig(this.#core, loadConfig(next), limitMs)
    this.#source = next
    await applied
  }

  /**
   * Refuses new work, lets running work finish within `timeoutMs`, then cancels what is left and
   * closes all connections. Called again, it waits for the same.
   */
  close(options: CloseOptions = {}): Promise<void> {
    if (this.#closing !== undefined) return this.#closing
    try {
      this.#closing = closeCore(this.#core, closeTimeout(options)).finally(() =>
        this.#onClose(this),
      )
      return this.#closing
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Alias of {@link Cluster.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
