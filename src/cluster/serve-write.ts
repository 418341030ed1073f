import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { QueryConfig, QueryResult } from 'pg'
import { ClusterVerificationError, WriteOutcomeUnknownError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { isLocalOnly } from '../nodes/write-client.ts'
import { describeFailure, faultOf, isFault } from '../routing/failures.ts'
import { hasControl } from '../sql/read-guard.ts'
import { awaitRoom } from './await-room.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import { judge } from './judge.ts'
import { Lease } from './lease.ts'
import { observe } from './observe.ts'
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

/** How long a cancelled write may take to say what has become of it. */
const SETTLE_TIMEOUT_MS = 250

/**
 * Takes a connection for writing, from another node when the primary is one by now. A failure to get
 * one is certainly no write.
 *
 * @throws NoPrimaryError when no server accepts writes
 * @throws SplitBrainError when several do
 */
export const leaseWriter = async (core: Core, deadline: Deadline): Promise<Lease> => {
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
    core.responsivenessOf(node).start()
    try {
      return await awaitRoom(deadline, limitMs, node, () => Lease.take(node, 'write', deadline))
    } catch (error) {
      const fault = faultOf(error, 'connect')
      const isOther = error instanceof ClusterVerificationError
      // Only not the primary: it may serve reads all the same.
      if (isOther) failover.suspect(node, error)
      else judge(core, node, fault, error as Error, node.write)
      if (fault.follows.node !== 'eject' && fault.follows.node !== 'suspect') throw error
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
    // Who is the primary may have changed while the statement ran.
    let refused = core.primary
    try {
      return await writeOnce(core, config, options, deadline, (node) => {
        refused = node
        report.routed(writeRouting(node))
      })
    } catch (error) {
      if (!isFault(error, 'read-only server or transaction')) throw error
      const limitMs = refused.config.connectTimeoutMs
      const found = await core.failover.find(deadline, { limitMs, patient: false })
      // The application's own READ ONLY; or a text that may have committed something before.
      if (found === refused || hasControl(config.text)) throw error
      report.failed(refused.name, describeFailure(error as Error))
      return writeOnce(core, config, options, deadline, (node) => report.routed(writeRouting(node)))
    }
  })
}

const writeOnce = async (
  core: Core,
  config: QueryConfig,
  { asPool }: WriteOptions,
  deadline: Deadline,
  leased: (from: Node) => void,
): Promise<RoutedResult> => {
  const lease = await leaseWriter(core, deadline)
  const { node } = lease
  const routing = writeRouting(node)
  leased(node)
  const write = lease.client.query(config)
  try {
    const result = await deadline.race(write, () => {}, deadline.reserve(SETTLE_TIMEOUT_MS))
    lease.release()
    return routed(result, routing)
  } catch (error) {
    if (deadline.isOver) return routed(await settleAbandoned(lease, write, error), routing)
    if (asPool) lease.discard(error)
    else lease.release(error)
    judge(core, node, faultOf(error, 'statement'), error as Error)
    // A pool passes on what PostgreSQL says, in which whoever reads it finds the same.
    const said = asPool && error instanceof pg.DatabaseError
    throw said ? error : outcomeOf(error, node.name)
  }
}

const routed = (result: QueryResult, routing: Routing): RoutedResult =>
  Object.assign(result, {
    routing: isLocalOnly(result) ? { ...routing, durability: 'local' as const } : routing,
  })

/** What a caller is told of a write, or a COMMIT, that failed after it had been sent. */
export const outcomeOf = (error: unknown, node: string): unknown =>
  faultOf(error, 'statement').follows.write === 'failed'
    ? error
    : new WriteOutcomeUnknownError(node, {
        cause: error,
        durability: isLocalOnly(error) ? 'local' : undefined,
      })

/**
 * What becomes of a write, or a COMMIT, that was given up after it had been sent: its result when it
 * was done all the same, the reason of giving up when it certainly was not.
 *
 * @throws WriteOutcomeUnknownError when the server does not say
 */
export const settleAbandoned = async <T>(
  lease: Lease,
  write: Promise<T>,
  reason: unknown,
): Promise<T> => {
  const outcome = await lease.giveUp(write, SETTLE_TIMEOUT_MS)
  lease.discard(reason)
  if (outcome === 'not done') throw reason
  if (outcome === 'unknown') throw new WriteOutcomeUnknownError(lease.node.name, { cause: reason })
  return outcome.done
}
