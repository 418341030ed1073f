import { TransactionRolledBackError } from '../errors.ts'
import { isFault } from '../routing/failures.ts'
import { within } from './context.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import type { Nested, Scope } from './scope.ts'
import { settingsQuery, settingsStatement } from './settings.ts'
import type { Settings } from './settings.ts'

/** How a function runs under a savepoint of the scope around it. */
export interface NestedOptions {
  readonly readOnly: boolean
  readonly settings: Settings | undefined
  readonly timeoutMs: number | undefined
}

/** Runs a function under a savepoint: kept when its promise resolves, undone when it rejects. */
export const runNested = async <T>(
  core: Core,
  around: Scope,
  fn: () => PromiseLike<T>,
  { readOnly, settings, timeoutMs }: NestedOptions,
): Promise<T> => {
  const deadline = new Deadline(timeoutMs === undefined ? {} : { timeoutMs })
  const nested = await open(around, readOnly, deadline)
  const { scope } = nested
  let released = false
  try {
    const work = within({ core, scope }, () => withSettings(scope, settings, fn))
    const value = await deadline.race(work, () => scope.abandon())
    released = true
    await nested.release()
    return value
  } catch (error) {
    // When the connection is lost the outer scope reports it with its own next statement.
    await nested.rollback().catch(() => undefined)
    throw isFault(error, 'failed transaction') && released
      ? new TransactionRolledBackError()
      : error
  }
}

/** Waits for the turn within the deadline; one that comes too late is given up at once. */
const open = (around: Scope, readOnly: boolean, deadline: Deadline): Promise<Nested> => {
  let late = false
  const opening = around.nest({ readOnly }).then((nested) => {
    if (late) nested.rollback().catch(() => undefined)
    return nested
  })
  return deadline.race(opening, () => (late = true))
}

/**
 * Sets parameters and sets them back: PostgreSQL keeps what `SET LOCAL` said in a savepoint until
 * the whole transaction ends, where a tenant's setting would reach the statements after it.
 */
const withSettings = async <T>(
  scope: Scope,
  settings: Settings | undefined,
  fn: () => PromiseLike<T>,
): Promise<T> => {
  const set = settingsStatement(settings)
  if (set === undefined || settings === undefined) return fn()
  const { rows } = await scope.execute(settingsQuery(settings))
  await scope.execute(set)
  const value = await fn()
  const before = settingsStatement(rows[0]?.before as Settings)
  if (before !== undefined) await scope.execute(before)
  return value
}
