import type { PoolClient, QueryConfig, QueryResult, QueryResultRow } from 'pg'
import { ClusterPool, toConfig } from './cluster-pool.ts'
import type { ServeOptions } from './cluster-pool.ts'
import { currentScope, innermostIn } from './context.ts'
import type { Core } from './core.ts'
import { fetchPages } from './cursor.ts'
import { Deadline } from './deadline.ts'
import { observe, watchStatements } from './observe.ts'
import { ScopedClient } from './scoped-client.ts'
import type { Scope } from './scope.ts'
import { serveRead } from './serve-read.ts'
import { PAGES } from './statement.ts'
import type { CallOptions, RoutedResult, Routing, Statement } from './statement.ts'

/** `cluster.reader`: each statement goes to the next replica; a client that is taken stays on one. */
export class ReaderPool extends ClusterPool {
  // ORMs look for "Pool" in the class's name, which a minifier would take away.
  static {
    Object.defineProperty(this, 'name', { value: 'ReaderPool' })
  }

  protected override get timeoutSetting(): 'readTimeoutMs' {
    return 'readTimeoutMs'
  }

  constructor(core: Core) {
    const nodes = core.replicas.length > 0 ? core.replicas : [core.primary]
    super(
      core,
      'read',
      nodes.reduce((sum, { config }) => sum + config.pool, 0),
    )
  }

  /** How models read page by page; see `PageReader`. */
  async *[PAGES](
    statement: Statement,
    { pageSize, ...options }: CallOptions & { readonly pageSize: number },
  ): AsyncGenerator<QueryResultRow[], void, undefined> {
    const scope = currentScope(this.core)
    if (scope !== undefined) {
      const limit = new Deadline(options)
      const read = (config: QueryConfig): Promise<RoutedResult> =>
        innermostIn(this.core, scope).read(config, { deadline: limit, keep: true })
      yield* fetchPages(this.#observed(statement, scope.facts.routing, read), statement, pageSize)
      return
    }
    const begin = { ...options, text: 'BEGIN READ ONLY' }
    const { lease, deadline, routing } = await serveRead(this.core, begin, async (attempt) => {
      await attempt.lease.query({ text: begin.text }, attempt.deadline)
      return attempt
    })
    const read = (config: QueryConfig): Promise<QueryResult> => lease.query(config, deadline)
    try {
      yield* fetchPages(this.#observed(statement, routing, read), statement, pageSize)
    } catch (error) {
      lease.discard(error)
      throw error
    } finally {
      // Also when the caller stops early.
      await lease.finish('COMMIT')
    }
  }

  /** Each statement of a stream is observed by itself: between two of them the caller is at work. */
  #observed<Result>(
    { table }: Statement,
    routing: Routing,
    send: (config: QueryConfig) => Promise<Result>,
  ): (config: QueryConfig) => Promise<Result> {
    return (config) =>
      observe(this.core, { text: config.text, table }, (report) => {
        report.routed(routing)
        return send(config)
      })
  }

  protected override async lend(): Promise<PoolClient> {
    return serveRead(this.core, { silent: true }, async ({ lease, routing }) =>
      lease.lend(watchStatements(this.core, routing)),
    )
  }

  protected override serve(
    config: QueryConfig,
    { asPool = false, ...options }: ServeOptions,
  ): Promise<RoutedResult> {
    return serveRead(
      this.core,
      { ...options, text: config.text, discardOnError: asPool },
      async ({ lease, routing, deadline }) => {
        const result = await lease.query(config, deadline)
        lease.release()
        return Object.assign(result, { routing })
      },
    )
  }

  protected override lendIn(scope: Scope): ScopedClient {
    return new ScopedClient(this.core, scope, 'read')
  }

  protected override executeIn(
    scope: Scope,
    statement: Statement,
    deadline: Deadline,
  ): Promise<RoutedResult> {
    return scope.read(toConfig(statement), { deadline })
  }
}
