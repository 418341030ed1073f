import pg from 'pg'
import type { PoolClient, QueryConfig } from 'pg'
import { POOL_EVENTS } from '../nodes/connections.ts'
import type { ConnectionCounts, Connections } from '../nodes/connections.ts'
import { readQueryArguments } from '../nodes/query-arguments.ts'
import { currentScope } from './context.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import { observe } from './observe.ts'
import { settleCallback } from './query-forms.ts'
import type { ScopedClient } from './scoped-client.ts'
import type { Scope } from './scope.ts'
import type { CallOptions, RoutedResult, Statement } from './statement.ts'
import { EXECUTE, TIMEOUT } from './statement.ts'

/** `query` of `pg.Pool` without its overloads, which cannot be declared again in a subclass. */
const plainQuery = (pool: pg.Pool, args: readonly unknown[]): Promise<unknown> =>
  Reflect.apply(Reflect.get(pg.Pool.prototype, 'query'), pool, args) as Promise<unknown>

/** In the words of `pg`, as the other errors of misuse here: code written for `pg.Pool` may look at them. */
const AFTER_END = 'Cannot use a pool after calling end on the pool'

/**
 * A `pg.Pool` to its user, in front of the cluster's nodes. It holds no connections of its own:
 * counts and events are those of the nodes' connections, `end()` ends its use of them.
 */
export abstract class ClusterPool extends pg.Pool {
  readonly #core: Core
  readonly #lane: 'read' | 'write'

  constructor(core: Core, lane: 'read' | 'write', max: number) {
    const { idleTimeoutMs, maxLifetimeMs, connectTimeoutMs } = core.config.primary
    // For readers of `pool.options` only: the connections are the nodes'.
    super({
      ...core.poolOptions,
      max,
      idleTimeoutMillis: idleTimeoutMs,
      maxLifetimeSeconds: maxLifetimeMs / 1000,
      connectionTimeoutMillis: connectTimeoutMs,
      allowExitOnIdle: true,
    })
    this.#core = core
    this.#lane = lane
    core.attach((node) => {
      for (const event of POOL_EVENTS) node[lane].on(event, (...args) => this.#forward(event, args))
    })
  }

  protected get core(): Core {
    return this.#core
  }

  /** The setting that limits calls of models. */
  protected abstract get timeoutSetting(): 'readTimeoutMs' | 'writeTimeoutMs'
  /** A client for statements of its own, outside scopes. */
  protected abstract lend(): Promise<PoolClient>
  /** Runs one statement outside scopes. */
  protected abstract serve(config: QueryConfig, options: ServeOptions): Promise<RoutedResult>
  /** The client for the same inside a scope, or an error when the scope does not allow it. */
  protected abstract lendIn(scope: Scope): ScopedClient
  /** Runs a statement of a model inside a scope. */
  protected abstract executeIn(
    scope: Scope,
    statement: Statement,
    deadline: Deadline,
  ): Promise<RoutedResult>

  override connect(...args: never[]): never {
    const [callback] = args as unknown as [ConnectCallback?]
    const client = this.#connect()
    if (callback === undefined) return client as never
    client.then(
      (lent) => {
        // The release of this loan: called once more after the client has been lent again, it must fail.
        const release = lent.release.bind(lent)
        process.nextTick(callback, undefined, lent, release)
      },
      (error: Error) => process.nextTick(callback, error, undefined, () => {}),
    )
    return undefined as never
  }

  override query(...args: never[]): never {
    if (typeof args[0] === 'function') return plainQuery(this, args) as never
    let call: ReturnType<typeof readQueryArguments>
    try {
      call = readQueryArguments(args)
    } catch (error) {
      const callback = (args as unknown[]).find((argument) => typeof argument === 'function')
      return settle(Promise.reject(error as Error), callback as QueryCallback | undefined) as never
    }
    // What pg does with a query object is right here too: it asks connect() for the client.
    if ('submittable' in call) return plainQuery(this, args) as never
    return settle(this.#query(call.config), call.callback as QueryCallback | undefined) as never
  }

  override end(...args: never[]): never {
    const [callback] = args as unknown as [((error?: Error) => void)?]
    return settle(this.#end(), callback) as never
  }

  /** How models run a statement; see `Executor`. */
  async [EXECUTE](statement: Statement, options: CallOptions = {}): Promise<RoutedResult> {
    const scope = currentScope(this.core)
    if (scope !== undefined) {
      // The scope decides where it runs; a name that does not exist is a mistake all the same.
      if (options.using !== undefined) this.core.candidates.meantBy(options.using)
      return observe(this.core, statement, (report) => {
        report.routed(scope.facts.routing)
        return this.executeIn(scope, statement, new Deadline(options))
      })
    }
    const { table } = statement
    return this.serve(toConfig(statement), table === undefined ? options : { ...options, table })
  }

  get #connections(): readonly Connections[] {
    return this.#core.connected.map((node) => node[this.#lane])
  }

  /** Inside a scope there is none: one statement that ends too early would undo all of it. */
  [TIMEOUT](): number | undefined {
    if (currentScope(this.core) !== undefined) return undefined
    const timeoutMs = this.core.config.settings[this.timeoutSetting]
    return timeoutMs === 0 ? undefined : timeoutMs
  }

  get counts(): ConnectionCounts {
    const sum = (of: keyof ConnectionCounts): number =>
      this.#connections.reduce((total, { counts }) => total + counts[of], 0)
    return {
      totalCount: sum('totalCount'),
      idleCount: sum('idleCount'),
      waitingCount: sum('waitingCount'),
      expiredCount: sum('expiredCount'),
    }
  }

  async #connect(): Promise<PoolClient> {
    if (this.ending) throw new Error(AFTER_END)
    const scope = currentScope(this.core)
    return scope === undefined ? this.lend() : (this.lendIn(scope) as unknown as PoolClient)
  }

  async #query(config: QueryConfig): Promise<unknown> {
    if (this.ending) throw new Error(AFTER_END)
    const scope = currentScope(this.core)
    if (scope === undefined) return this.serve(config, { asPool: true })
    const client = this.lendIn(scope)
    try {
      return await client.query(config)
    } finally {
      client.release()
    }
  }

  async #end(): Promise<void> {
    if (this.ending) throw new Error('Called end on pool more than once')
    const state = this as { ending: boolean; ended: boolean }
    state.ending = true
    await Promise.all(this.#connections.map((connections) => connections.renew()))
    state.ended = true
  }

  #forward(event: (typeof POOL_EVENTS)[number], args: unknown[]): void {
    // An 'error' event without a listener would end the process.
    if (event !== 'error' || this.listenerCount('error') > 0) this.emit(event, ...args)
  }
}

// pg declares the counts as fields, which a subclass may not turn into accessors by the language's own means.
for (const name of ['totalCount', 'idleCount', 'waitingCount', 'expiredCount'] as const) {
  Object.defineProperty(ClusterPool.prototype, name, {
    get(this: ClusterPool) {
      return this.counts[name]
    },
  })
}

/** What a pool is told about one statement. */
export interface ServeOptions extends CallOptions {
  readonly asPool?: boolean
  /** See `Statement`. */
  readonly table?: string
}

type ConnectCallback = (
  error: Error | undefined,
  client: PoolClient | undefined,
  done: (error?: Error) => void,
) => void
type QueryCallback = (error: Error | undefined, result?: unknown) => void

const settle = <T>(
  result: Promise<T>,
  callback: QueryCallback | undefined,
): Promise<T> | undefined => {
  if (callback === undefined) return result
  settleCallback(result, callback)
  return undefined
}

/** A model's statement as `pg` takes it. */
export const toConfig = ({ text, values, name }: Statement): QueryConfig => ({
  text,
  ...(values === undefined ? {} : { values: [...values] }),
  ...(name === undefined ? {} : { name }),
})
