import type { PoolClient, QueryConfig } from 'pg'
import { ScopeNestingError } from '../errors.ts'
import { ClusterPool, toConfig } from './cluster-pool.ts'
import type { ServeOptions } from './cluster-pool.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import { ScopedClient } from './scoped-client.ts'
import type { Scope } from './scope.ts'
import { watchStatements } from './observe.ts'
import { leaseWriter, serveWrite, writeRouting } from './serve-write.ts'
import type { RoutedResult, Statement } from './statement.ts'

/** `cluster.writer`: everything goes to the primary. */
export class WriterPool extends ClusterPool {
  // ORMs look for "Pool" in the class's name, which a minifier would take away.
  static {
    Object.defineProperty(this, 'name', { value: 'WriterPool' })
  }

  protected override get timeoutSetting(): 'writeTimeoutMs' {
    return 'writeTimeoutMs'
  }

  constructor(core: Core) {
    const { primary } = core
    super(core, 'write', primary.config.pool)
  }

  protected override async lend(): Promise<PoolClient> {
    const lease = await leaseWriter(this.core, new Deadline({}))
    return lease.lend(watchStatements(this.core, writeRouting(lease.node)))
  }

  protected override serve(config: QueryConfig, options: ServeOptions): Promise<RoutedResult> {
    return serveWrite(this.core, config, options)
  }

  protected override lendIn(scope: Scope): ScopedClient {
    assertMayWrite(scope)
    return new ScopedClient(this.core, scope, 'write')
  }

  protected override async executeIn(
    scope: Scope,
    statement: Statement,
    deadline: Deadline,
  ): Promise<RoutedResult> {
    assertMayWrite(scope)
    return scope.execute(toConfig(statement), deadline)
  }
}

/** A snapshot is on a replica: a write in it would have to leave the scope. */
const assertMayWrite = (scope: Scope): void => {
  if (scope.facts.kind !== 'snapshot') return
  throw new ScopeNestingError('A write', 'snapshot()', 'Write before the snapshot or after it')
}
