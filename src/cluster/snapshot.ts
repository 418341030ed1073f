import { ScopeNestingError } from '../errors.ts'
import { currentScope, within } from './context.ts'
import type { Core } from './core.ts'
import { runNested } from './nested.ts'
import { checkOptionNames } from './option-names.ts'
import { Scope } from './scope.ts'
import { serveRead } from './serve-read.ts'
import { settingsStatement } from './settings.ts'
import type { Settings } from './settings.ts'

/** How a snapshot runs. */
export interface SnapshotOptions {
  /** Run-time parameters for this snapshot only (`SET LOCAL`). */
  readonly settings?: Settings
}

/**
 * Runs a function in one REPEATABLE READ, READ ONLY transaction on one replica: all its reads see
 * the same state. A replica that cannot even begin is left for the next one.
 */
export const runSnapshot = async <T>(
  core: Core,
  fn: () => PromiseLike<T>,
  options: SnapshotOptions,
): Promise<T> => {
  checkOptionNames('snapshot()', options, ['settings'])
  const { settings } = options
  const around = currentScope(core)
  if (around !== undefined) return runInside(core, around, fn, settings)
  const set = settingsStatement(settings)
  const { lease, routing } = await serveRead(core, { silent: true }, async (attempt) => {
    const { client } = attempt.lease
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    if (set !== undefined) await client.query(set)
    return attempt
  })
  const scope = new Scope(lease.client, {
    kind: 'snapshot',
    routing: { ...routing, reason: 'snapshot' },
    readOnly: true,
    isolation: 'repeatable read',
  })
  try {
    return await within({ core, scope }, fn)
  } finally {
    try {
      await scope.end('COMMIT')
      lease.release()
    } catch (error) {
      // Nothing was written: the connection is of no more use, the function's outcome stands.
      lease.discard(error)
    }
  }
}

/** A snapshot inside a scope that has one state for all its reads already is that state. */
const runInside = <T>(
  core: Core,
  around: Scope,
  fn: () => PromiseLike<T>,
  settings: Settings | undefined,
): Promise<T> => {
  const { kind, isolation } = around.facts
  if (isolation === 'repeatable read' || isolation === 'serializable') {
    return runNested(core, around, fn, { readOnly: true, settings, timeoutMs: undefined })
  }
  throw new ScopeNestingError(
    'snapshot()',
    `${kind}() with isolation '${isolation ?? 'read committed'}'`,
    "Give the transaction { isolation: 'repeatable read' }, or take the snapshot outside",
  )
}
