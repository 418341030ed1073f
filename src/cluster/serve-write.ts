import type { QueryConfig } from 'pg'
import { WriteOutcomeUnknownError } from '../errors.ts'
import { classifyFailure, isLostConnection, isOutcomeUnknown } from '../routing/failures.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import { Lease } from './lease.ts'
import { observe } from './observe.ts'
import type { CallOptions, RoutedResult, Routing } from './statement.ts'

/** How writes go about failures. */
export interface WriteOptions extends CallOptions {
  /** As `pg.Pool#query` does: the connection is destroyed after any error, and PostgreSQL's errors pass unchanged. */
  readonly asPool?: boolean
}

/** The record of a statement that went to the primary because it writes. */
export const writeRouting = (core: Core): Routing => ({
  node: core.primary.name,
  role: 'primary',
  reason: 'write',
  lagMs: 0,
  waitedMs: 0,
})

/** Takes a connection for writing; a failure to get one is certainly no write. */
export const leaseWriter = async (core: Core, deadline: Deadline): Promise<Lease> => {
  core.assertOpen()
  const { primary } = core
  try {
    return await Lease.take(primary.write, deadline)
  } catch (error) {
    if (classifyFailure(error) === 'node') primary.failed(error as Error)
    throw error
  }
}

/**
 * Runs one statement on the primary, once.
 *
 * @throws WriteOutcomeUnknownError when the connection was lost after the statement had been sent
 */
export const serveWrite = (
  core: Core,
  config: QueryConfig,
  options: WriteOptions,
): Promise<RoutedResult> => {
  core.assertOpen()
  const deadline = new Deadline(options)
  return observe(core, async (report) => {
    const routing = writeRouting(core)
    report(routing)
    const lease = await leaseWriter(core, deadline)
    const write = lease.client.query(config)
    try {
      const result = await deadline.race(write, () => {})
      lease.release()
      return Object.assign(result, { routing })
    } catch (error) {
      if (deadline.isOver) {
        const result = await settleAbandoned(core, lease, write, error)
        return Object.assign(result, { routing })
      }
      if (options.asPool) lease.discard(error)
      else lease.release(error)
      const unknown = options.asPool ? isLostConnection(error) : isOutcomeUnknown(error)
      throw unknown ? new WriteOutcomeUnknownError(core.primary.name, { cause: error }) : error
    }
  })
}

/**
 * What becomes of a write, or a COMMIT, that was given up after it had been sent: its result when it
 * was done all the same, the reason of giving up when it certainly was not.
 *
 * @throws WriteOutcomeUnknownError when the server does not say
 */
export const settleAbandoned = async <T>(
  core: Core,
  lease: Lease,
  write: Promise<T>,
  reason: unknown,
): Promise<T> => {
  const outcome = await lease.giveUp(write)
  lease.discard(reason)
  if (outcome === 'not done') throw reason
  if (outcome === 'unknown')
    throw new WriteOutcomeUnknownError(core.primary.name, { cause: reason })
  return outcome.done
}
