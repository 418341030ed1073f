import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { PoolClient, PoolConfig } from 'pg'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import type { NodeConfig } from '../config/types.ts'
import { PoolExhaustedError } from '../errors.ts'
import { cancelRunning } from './cancel.ts'
import { NodeClient, ReadClient } from './client.ts'
import { PoolerReadClient } from './pooler-read-client.ts'
import { WriteClient } from './write-client.ts'
import { clientOptions, passwordOf } from './options.ts'
import type { Admit, ClientHooks, PoolOptions, Purpose } from './options.ts'

/** How many connections there are, in the words of `pg.Pool`. */
export interface ConnectionCounts {
  /** Connections that are open or being opened. */
  readonly totalCount: number
  /** Open connections that nobody uses. */
  readonly idleCount: number
  /** Calls that wait for a connection. */
  readonly waitingCount: number
  /** Connections past `maxLifetimeMs` that are still in use. */
  readonly expiredCount: number
}

/** The events of `pg.Pool`, which a node's connections pass on. */
export const POOL_EVENTS = ['connect', 'acquire', 'release', 'remove', 'error'] as const

/**
 * How a node holds its connections for one purpose. Everything above knows this interface only, so
 * that connections shared by many statements can take its place.
 */
export interface Connections extends EventEmitter {
  /**
   * A connection of its own for the caller, who must `release()` it.
   *
   * @throws PoolExhaustedError when as many calls wait for one as may
   */
  acquire(): Promise<PoolClient>
  readonly counts: ConnectionCounts
  /** Connections that are lent out at this moment. */
  readonly inFlight: number
  /** Lets go of all present connections, lent ones when they come back; later calls open new ones. */
  renew(): Promise<void>
  /** The same, and a connection that is opened later serves one call only. */
  retire(): Promise<void>
  /** Number, age and password of connections that are opened from now on. */
  configure(node: NodeConfig): void
  /** Cancels what runs and destroys the sockets of all connections, lent ones included. */
  destroy(): void
  /** The server has no room: for a while no connection is opened beside those that there are. */
  coolDown(): void
  /** Bytes that the present connections have received. */
  readonly received: number
  /** Connections that wait for the server, and that nothing has come from since the last call. */
  silent(): readonly NodeClient[]
}

const classFor = (node: NodeConfig, purpose: Purpose): typeof NodeClient => {
  if (purpose === 'write') return WriteClient
  if (purpose === 'control') return NodeClient
  return node.pgbouncer ? PoolerReadClient : ReadClient
}

/** What is told about connections, and asked. */
export interface ConnectionHooks extends Omit<ClientHooks, 'onOpen'> {
  /** The most connections. @defaultValue the node's `pool` */
  readonly max?: number
  readonly admit?: Admit | undefined
}

type Verify = NonNullable<PoolConfig['verify']>

/** First ours, then the application's own. */
const admitted =
  (admit: Admit, purpose: Purpose, verify: Verify | undefined): Verify =>
  (client, done) => {
    const { questioned } = client as unknown as NodeClient
    admit(questioned, purpose).then(
      () => (verify === undefined ? done() : verify(client, done)),
      done,
    )
  }

const WAITING_POLL_MS = 10

/** Connections that were opened together must not all be replaced together: each is up to a fifth younger. */
const AGE_SPREAD = 0.2

/** Connections held by a `pg.Pool`. */
export class PooledConnections extends EventEmitter implements Connections {
  readonly #options: PoolConfig
  #node: NodeConfig
  readonly #max: number | undefined
  /** How much each connection had received when it was last looked at. */
  readonly #received = new WeakMap<NodeClient, number>()
  #coolDown: NodeJS.Timeout | undefined
  readonly #clients = new Set<NodeClient>()
  #pool: pg.Pool | undefined
  /** Pools that take no more calls and still have connections lent. */
  readonly #ending = new Set<pg.Pool>()

  constructor(
    node: NodeConfig,
    purpose: Purpose,
    options: PoolOptions,
    { max, admit, ...hooks }: ConnectionHooks = {},
  ) {
    super()
    this.#node = node
    this.#max = max
    this.#options = {
      ...options,
      ...clientOptions(node, purpose, {
        ...hooks,
        // Also one that is still connecting must be found by destroy().
        onOpen: (client) => {
          this.#clients.add(client as NodeClient)
          client.on('end', () => this.#clients.delete(client as NodeClient))
          // Nobody waits for a question but who asks it, from the first moment on.
          if (purpose === 'control')
            queueMicrotask(() => ((client as NodeClient).connection.stream as Socket).unref())
        },
      }),
      // Also a changed one is asked for at the next connection.
      password: () => passwordOf(this.#node),
      max: max ?? node.pool,
      idleTimeoutMillis: node.idleTimeoutMs,
      // A script ends by itself: idle connections never keep the process alive.
      allowExitOnIdle: true,
      ...(admit && { verify: admitted(admit, purpose, options.verify) }),
      Client: classFor(node, purpose) as unknown as NonNullable<PoolConfig['Client']>,
    }
  }

  acquire(): Promise<PoolClient> {
    const pool = this.#open()
    const { totalCount, idleCount, waitingCount } = pool
    if (waitingCount >= this.#node.queue && idleCount === 0 && totalCount >= pool.options.max) {
      return Promise.reject(new PoolExhaustedError(this.#node.name, totalCount, waitingCount))
    }
    return pool.connect()
  }

  get counts(): ConnectionCounts {
    const counts = { totalCount: 0, idleCount: 0, waitingCount: 0, expiredCount: 0 }
    for (const pool of this.#pools()) {
      counts.totalCount += pool.totalCount
      counts.idleCount += pool.idleCount
      counts.waitingCount += pool.waitingCount
      counts.expiredCount += pool.expiredCount
    }
    return counts
  }

  get inFlight(): number {
    let lent = 0
    for (const pool of this.#pools()) lent += pool.totalCount - pool.idleCount
    return lent
  }

  retire(): Promise<void> {
    this.#options.maxUses = 1
    return this.renew()
  }

  configure(node: NodeConfig): void {
    this.#node = node
    this.#options.max = this.#max ?? node.pool
    if (this.#pool !== undefined) this.#pool.options.max = this.#options.max
  }

  async renew(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    if (pool === undefined) return
    this.#ending.add(pool)
    // pg forgets whoever is still waiting for a connection when its pool ends.
    while (pool.waitingCount > 0) await sleep(WAITING_POLL_MS)
    await pool.end()
    this.#ending.delete(pool)
  }

  destroy(): void {
    for (const client of this.#clients) {
      // A server notices a lost client only when it has something to tell it.
      void cancelRunning(client)
      client.connection.stream.destroy()
    }
  }

  coolDown(): void {
    const pool = this.#pool
    if (pool === undefined) return
    pool.options.max = Math.max(1, pool.totalCount)
    clearTimeout(this.#coolDown)
    this.#growLater(pool)
  }

  /** Back to the configured size one by one: the room may have been for one connection only. */
  #growLater(pool: pg.Pool): void {
    const { max = 1 } = this.#options
    if (pool.options.max >= max) return
    const pauseMs = RUNTIME_LIMITS.coolDownMs * (0.75 + 0.5 * Math.random())
    this.#coolDown = setTimeout(() => {
      pool.options.max += 1
      this.#growLater(pool)
    }, pauseMs)
    this.#coolDown.unref()
  }

  get received(): number {
    let sum = 0
    for (const client of this.#clients) sum += (client.connection.stream as Socket).bytesRead
    return sum
  }

  silent(): readonly NodeClient[] {
    const silent: NodeClient[] = []
    for (const client of this.#clients) {
      const { bytesRead } = client.connection.stream as Socket
      const before = this.#received.get(client)
      this.#received.set(client, bytesRead)
      if (client.isWaiting && before === bytesRead) silent.push(client)
    }
    return silent
  }

  *#pools(): Generator<pg.Pool> {
    if (this.#pool !== undefined) yield this.#pool
    yield* this.#ending
  }

  #open(): pg.Pool {
    if (this.#pool !== undefined) return this.#pool
    const pool = new pg.Pool(this.#options)
    // pg asks for it once for each new connection, so each gets an age of its own.
    Object.defineProperty(pool.options, 'maxLifetimeSeconds', {
      enumerable: true,
      get: () => (this.#node.maxLifetimeMs / 1_000) * (1 - AGE_SPREAD * Math.random()),
    })
    for (const event of POOL_EVENTS) {
      // An 'error' event without a listener would end the process.
      pool.on(event as 'connect', (...args: unknown[]) => {
        if (event !== 'error' || this.listenerCount('error') > 0) this.emit(event, ...args)
      })
    }
    pool.on('release', (_error, client) => {
      ;(client as unknown as NodeClient).watch = undefined
    })
    return (this.#pool = pool)
  }
}
