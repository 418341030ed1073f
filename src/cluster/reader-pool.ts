import type { PoolClient, QueryConfig, QueryResultRow } from 'pg'
import { ClusterPool, toConfig } from './cluster-pool.ts'
import { currentScope, innermostIn } from './context.ts'
import type { Core } from './core.ts'
import { fetchPages } from './cursor.ts'
import { Deadline } from './deadline.ts'
import { ScopedClient } from './scoped-client.ts'
import type { Scope } from './scope.ts'
import { serveRead } from './serve-read.ts'
import { PAGES } from './statement.ts'
import type { CallOptions, RoutedResult, Statement } from './statement.ts'

/** `cluster.reader`: each statement goes to the next replica; a client that is taken stays on one. */
export class ReaderPool extends ClusterPool {
  // ORMs look for "Pool" in the class's name, which a minifier would take away.
  static {
    Object.defineProperty(this, 'name', { value: 'ReaderPool' })
  }

  constructor(core: Core) {
    const nodes = core.replicas.length > 0 ? core.replicas : [core.primary]
    super(
      core,
      core.nodes.map(({ read }) => read),
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
      yield* fetchPages(read, statement, pageSize)
      return
    }
    const { lease, deadline } = await serveRead(this.core, options, async (attempt) => {
      await attempt.lease.query({ text: 'BEGIN READ ONLY' }, attempt.deadline)
      return attempt
    })
    try {
      yield* fetchPages((config) => lease.query(config, deadline), statement, pageSize)
    } catch (error) {
      lease.discard(error)
      throw error
    } finally {
      // Also when the caller stops early.
      await lease.finish('COMMIT')
    }
  }

  protected override async lend(): Promise<PoolClient> {
    return serveRead(this.core, { silent: true }, async ({ lease }) => lease.client)
  }

  protected override serve(
    config: QueryConfig,
    { asPool = false, ...options }: CallOptions & { asPool?: boolean },
  ): Promise<RoutedResult> {
    return serveRead(
      this.core,
      { ...options, discardOnError: asPool },
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
