import { setTimeout as sleep } from 'node:timers/promises'
import type { QueryConfig } from 'pg'
import { ClusterVerificationError, WriteOutcomeUnknownError } from '../errors.ts'
import { READ_ONLY_SQL_TRANSACTION } from '../nodes/client.ts'
import type { Node } from '../nodes/node.ts'
import {
  classifyFailure,
  isLostConnection,
  isOutcomeUnknown,
  sqlStateOf,
} from '../routing/failures.ts'
import { hasControl } from '../sql/read-guard.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import { Lease } from './lease.ts'
import { observe } from './observe.ts'
import type { Report } from './observe.ts'
import type { CallOptions, RoutedResult, Routing } from './statement.ts'
import type { ObservedStatement } from './telemetry.ts'

/** How writes go about failures. */
export interface WriteOptions extends CallOptions, Pick<ObservedStatement, 'table'> {
  /** As `pg.Pool#query` does: the connection is destroyed after any error, and PostgreSQL's errors pass unchanged. */
  readonly asPool?: boolean
}

/** The record of a statement that went to the primary because it writes. */
export const writeRouting = ({ name }: Node): Routing => ({
  node: name,
  role: 'primary',
  reason: 'write',
  lagMs: 0,
  waitedMs: 0,
})

/** A connection for writing, and the node that it leads to. */
export interface WriterLease {
  readonly lease: Lease
  readonly node: Node
}

/**
 * Takes a connection for writing, from another node when the primary is one by now. A failure to get
 * one is certainly no write.
 *
 * @throws NoPrimaryError when no server accepts writes
 * @throws SplitBrainError when several do
 */
export const leaseWriter = async (core: Core, deadline: Deadline): Promise<WriterLease> => {
  core.assertOpen()
  const waking = core.use()
  if (waking !== undefined) await deadline.race(waking, () => {})
  const { failover } = core
  const startedAt = performance.now()
  const limitMs = core.primary.config.connectTimeoutMs
  let refused: Node | undefined
  for (;;) {
    const node =
      failover.trusted ??
      (await failover.find(deadline, {
        limitMs: deadline.isLimited ? Infinity : limitMs - (performance.now() - startedAt),
        patient: deadline.isLimited && failover.isKnown,
      }))
    try {
      return { lease: await Lease.take(node.write, deadline), node }
    } catch (error) {
      if (classifyFailure(error) !== 'node') throw error
      // Only not the primary: it may serve reads all the same.
      if (!(error instanceof ClusterVerificationError)) node.failed(error as Error)
      failover.suspect(node, error)
      // It was asked and is the primary, and it does not let us in.
      if (refused === node) {
        if (!deadline.isLimited) throw error
        await deadline.race(sleep(REFUSED_PAUSE_MS, undefined, { ref: false }), () => {})
      }
      refused = node
    }
  }
}

/** A primary that has no connection left is not asked for one at once again. */
const REFUSED_PAUSE_MS = 100

/**
 * Runs one statement on the primary, once; a second time only when the server refused it as read-only
 * and is not the primary any more.
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
  const { text } = config
  return observe(core, { text, table: options.table }, async (report) => {
    report.routed(writeRouting(core.primary))
    try {
      return await writeOnce(core, config, options, deadline, report)
    } catch (error) {
      if (sqlStateOf(error) !== READ_ONLY_SQL_TRANSACTION) throw error
      const { primary } = core
      const limitMs = primary.config.connectTimeoutMs
      core.failover.suspect(primary, error)
      const found = await core.failover.find(deadline, { limitMs, patient: false })
      // The application's own READ ONLY; or a text that may have committed something before.
      if (found === primary || hasControl(config.text)) throw error
      report.failed(primary.name, READ_ONLY_SQL_TRANSACTION)
      return writeOnce(core, config, options, deadline, report)
    }
  })
}

const writeOnce = async (
  core: Core,
  config: QueryConfig,
  { asPool }: WriteOptions,
  deadline: Deadline,
  report: Report,
): Promise<RoutedResult> => {
  const { lease, node } = await leaseWriter(core, deadline)
  const routing = writeRouting(node)
  report.routed(routing)
  const write = lease.client.query(config)
  try {
    const result = await deadline.race(write, () => {})
    lease.release()
    return Object.assign(result, { routing })
  } catch (error) {
    if (deadline.isOver) {
      const result = await settleAbandoned(node, lease, write, error)
      return Object.assign(result, { routing })
    }
    if (asPool) lease.discard(error)
    else lease.release(error)
    if (isOutcomeUnknown(error)) core.failover.suspect(node, error)
    const unknown = asPool ? isLostConnection(error) : isOutcomeUnknown(error)
    throw unknown ? new WriteOutcomeUnknownError(node.name, { cause: error }) : error
  }
}

/**
 * What becomes of a write, or a COMMIT, that was given up after it had been sent: its result when it
 * was done all the same, the reason of giving up when it certainly was not.
 *
 * @throws WriteOutcomeUnknownError when the server does not say
 */
export const settleAbandoned = async <T>(
  node: Node,
  lease: Lease,
  write: Promise<T>,
  reason: unknown,
): Promise<T> => {
  const outcome = await lease.giveUp(write)
  lease.discard(reason)
  if (outcome === 'not done') throw reason
  if (outcome === 'unknown') throw new WriteOutcomeUnknownError(node.name, { cause: reason })
  return outcome.done
}
