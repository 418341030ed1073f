import {
  InvalidArgumentError,
  ScopeEndedError,
  ScopeNestingError,
  TransactionRolledBackError,
} from '../errors.ts'
import { currentScope, within } from './context.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import { faultOf } from '../routing/failures.ts'
import { judge } from './judge.ts'
import type { Lease } from './lease.ts'
import { runNested } from './nested.ts'
import { checkOptionNames } from './option-names.ts'
import { ISOLATIONS, Scope } from './scope.ts'
import type { Isolation } from './scope.ts'
import { attemptsOf, repeatTransaction } from './repeat.ts'
import type { TransactionRetry } from './repeat.ts'
import { leaseWriter, outcomeOf, settleAbandoned } from './serve-write.ts'
import { settingsStatement } from './settings.ts'
import type { Settings } from './settings.ts'

/** How a transaction runs. */
export interface TransactionOptions {
  /** The isolation level. @defaultValue the server's `default_transaction_isolation` */
  readonly isolation?: Isolation
  /** The server refuses writes. @defaultValue `false` */
  readonly readOnly?: boolean
  /** The time for the whole transaction, in milliseconds. No limit by default. */
  readonly timeoutMs?: number
  /** Run-time parameters for this transaction only (`SET LOCAL`), such as a tenant for row-level security. */
  readonly settings?: Settings
  /**
   * Runs the whole function again when the transaction was rolled back with SQLSTATE 40001 (it could not be
   * serialized) or 40P01 (deadlock): `true` for up to 5 attempts. The function must not do anything outside
   * the transaction that may not happen twice. All attempts share `timeoutMs`. A transaction whose outcome is
   * unknown is never repeated; inside another transaction it has no effect, since only the outermost one
   * can be repeated. @defaultValue `false`
   */
  readonly retry?: boolean | TransactionRetry
}

/** Runs a function in a transaction on the primary; inside another one, under a savepoint. */
export const runTransaction = async <T>(
  core: Core,
  fn: () => PromiseLike<T>,
  options: TransactionOptions,
): Promise<T> => {
  checkOptions(options)
  const around = currentScope(core)
  if (around !== undefined) return runInside(core, around, fn, options)
  const deadline = new Deadline(
    options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs },
  )
  return repeatTransaction(attemptsOf(options.retry), deadline, () =>
    runOnce(core, fn, options, deadline),
  )
}

const runOnce = async <T>(
  core: Core,
  fn: () => PromiseLike<T>,
  options: TransactionOptions,
  deadline: Deadline,
): Promise<T> => {
  const lease = await leaseWriter(core, deadline)
  const scope = new Scope(lease.client, {
    kind: 'transaction',
    routing: {
      node: lease.node.name,
      role: 'primary',
      reason: 'transaction',
      lagMs: 0,
      waitedMs: 0,
    },
    readOnly: options.readOnly ?? false,
    isolation: options.isolation,
  })
  const progress: Progress = { commit: undefined }
  const work = runAndCommit(core, lease, scope, fn, options, progress)
  try {
    return await deadline.race(work, () => scope.abandon())
  } catch (error) {
    if (!deadline.isOver) throw error
    if (progress.commit !== undefined) {
      await settleAbandoned(lease, progress.commit, error)
      return work
    }
    // Rolled back by the server when the connection goes.
    lease.abandon(work)
    throw error
  }
}

/** How far a transaction has come: from the COMMIT on, giving it up does not undo it. */
interface Progress {
  commit: Promise<unknown> | undefined
}

const runAndCommit = async <T>(
  core: Core,
  lease: Lease,
  scope: Scope,
  fn: () => PromiseLike<T>,
  options: TransactionOptions,
  progress: Progress,
): Promise<T> => {
  let value: T
  try {
    await lease.client.query(beginStatement(options))
    const settings = settingsStatement(options.settings)
    if (settings !== undefined) await lease.client.query(settings)
    value = await within({ core, scope }, fn)
    // Given up in the meantime: its caller has been told that nothing was changed.
    if (scope.hasEnded) throw new ScopeEndedError('transaction')
  } catch (error) {
    await rollback(lease, scope)
    core.consistency.sight.beginEnd()(lease.node)
    throw error
  }
  await commit(core, lease, scope, progress)
  return value
}

const commit = async (
  core: Core,
  lease: Lease,
  scope: Scope,
  progress: Progress,
): Promise<void> => {
  const ended = core.consistency.sight.beginEnd()
  try {
    const committing = scope.end('COMMIT')
    progress.commit = committing
    const { command } = await committing
    lease.release()
    if (command === 'ROLLBACK') throw new TransactionRolledBackError()
  } catch (error) {
    lease.release(error)
    judge(core, lease.node, faultOf(error, 'statement'), error as Error)
    throw outcomeOf(error, lease.node.name)
  } finally {
    ended(lease.node)
  }
}

/** The caller's error is the one that counts: a connection that cannot even roll back is destroyed. */
const rollback = async (lease: Lease, scope: Scope): Promise<void> => {
  try {
    await scope.end('ROLLBACK')
    lease.release()
  } catch (error) {
    lease.discard(error)
  }
}

const runInside = <T>(
  core: Core,
  around: Scope,
  fn: () => PromiseLike<T>,
  { isolation, readOnly = false, settings, timeoutMs }: TransactionOptions,
): Promise<T> => {
  const { facts } = around
  if (facts.kind === 'snapshot') {
    throw new ScopeNestingError(
      'transaction()',
      'snapshot()',
      'Open the transaction before the snapshot or after it',
    )
  }
  if (isolation !== undefined && isolation !== facts.isolation) {
    throw new ScopeNestingError(
      `transaction() with isolation '${isolation}'`,
      'transaction()',
      'Give the isolation to the outermost transaction',
    )
  }
  return runNested(core, around, fn, { readOnly, settings, timeoutMs })
}

const OPTIONS: readonly (keyof TransactionOptions)[] = [
  'isolation',
  'readOnly',
  'timeoutMs',
  'settings',
  'retry',
]

const checkOptions = (options: TransactionOptions): void => {
  checkOptionNames('transaction()', options, OPTIONS)
  const { isolation, readOnly, retry } = options
  attemptsOf(retry)
  if (readOnly !== undefined && typeof readOnly !== 'boolean') {
    throw new InvalidArgumentError(
      `readOnly must be true or false, not ${JSON.stringify(readOnly)}`,
    )
  }
  if (isolation === undefined || (ISOLATIONS as readonly string[]).includes(isolation)) return
  throw new InvalidArgumentError(
    `isolation must be one of ${ISOLATIONS.join(', ')}, not '${isolation}'`,
  )
}

const beginStatement = ({ isolation, readOnly = false }: TransactionOptions): string =>
  ['BEGIN', isolation && `ISOLATION LEVEL ${isolation.toUpperCase()}`, readOnly && 'READ ONLY']
    .filter(Boolean)
    .join(' ')
