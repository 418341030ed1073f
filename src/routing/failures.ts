import pg from 'pg'
import { ClusterVerificationError } from '../errors.ts'
import { isPasswordFailure } from '../nodes/options.ts'

/**
 * What a failure of a read says.
 *
 * - `node`: about the node or the way to it; another node may answer, and this one is left alone
 * - `conflict`: the standby cancelled the statement to go on replaying; another node may answer
 * - `misconfigured`: the node refuses us for good; never hidden behind another node for all of them
 * - `statement`: about the statement or the caller; repeating it elsewhere would give the same
 */
export type Failure = 'node' | 'conflict' | 'misconfigured' | 'statement'

const NODE_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'EHOSTDOWN',
  'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT',
  // Shutting down, crashed, not yet or no longer accepting connections, too many connections.
  '57P01', '57P02', '57P03', '53300',
]) // prettier-ignore

/** What `pg` says, without a code, when a connection is lost or cannot be made. */
const NODE_MESSAGES: ReadonlySet<string> = new Set([
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'timeout expired',
])

/** What `pg` says when the connection was lost before the statement could be sent. */
const NEVER_SENT_MESSAGES: ReadonlySet<string> = new Set([
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
])

const MISCONFIGURED_CODES: ReadonlySet<string> = new Set(['28P01', '28000', '3D000'])
const TLS_CODE = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/
const MISCONFIGURED_MESSAGE = /^(?:SASL: |The server does not support SSL connections)/

/** The SQLSTATE of both a serialization failure and a conflict with recovery. */
const SERIALIZATION_FAILURE = '40001'

/** Says what a failure of a read on a node means. */
export const classifyFailure = (error: unknown): Failure => {
  if (!(error instanceof Error)) return 'statement'
  // Another server than the one we look for: see `cluster/admission.ts`.
  if (error instanceof ClusterVerificationError) return 'node'
  // A password that cannot be had: as good as a wrong one.
  if (isPasswordFailure(error)) return 'misconfigured'
  // What the server says of a statement while the connection stays open. Codes of lost connections
  // come this way too, from a foreign server for example, and say nothing about this node.
  if (error instanceof pg.DatabaseError && error.severity === 'ERROR') {
    return isRecoveryConflict(error) ? 'conflict' : 'statement'
  }
  const code = codeOf(error)
  if (code !== undefined) {
    if (NODE_CODES.has(code) || code.startsWith('08')) return 'node'
    if (MISCONFIGURED_CODES.has(code) || TLS_CODE.test(code)) return 'misconfigured'
    if (isRecoveryConflict(error)) return 'conflict'
  }
  if (NODE_MESSAGES.has(error.message) || NEVER_SENT_MESSAGES.has(error.message)) return 'node'
  return MISCONFIGURED_MESSAGE.test(error.message) ? 'misconfigured' : 'statement'
}

/**
 * Whether an error leaves open if a statement that had been sent was carried out: the connection
 * went away before the answer came, or the server closed it with a FATAL message.
 */
export const isOutcomeUnknown = (error: unknown): boolean =>
  error instanceof Error &&
  classifyFailure(error) === 'node' &&
  !NEVER_SENT_MESSAGES.has(error.message)

/** Whether `pg` made this error itself, with nothing from the server in it. */
export const isLostConnection = (error: unknown): boolean =>
  isOutcomeUnknown(error) && !(error instanceof pg.DatabaseError)

/** Whether a connection can be used again after this error of a statement. */
export const isConnectionUsable = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.severity !== 'FATAL' && error.severity !== 'PANIC'

const codeOf = (error: Error): string | undefined => {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

/** The routines of the server that report a conflict, in PostgreSQL up to 16 and from 17 on. */
const CONFLICT_ROUTINES: ReadonlySet<string> = new Set([
  'ProcessInterrupts',
  'ProcessRecoveryConflictInterrupt',
])

/** A serialization failure has the same code. The routine's name is not translated, as the message is. */
const isRecoveryConflict = (error: Error): boolean =>
  error instanceof pg.DatabaseError &&
  error.code === SERIALIZATION_FAILURE &&
  CONFLICT_ROUTINES.has(error.routine ?? '')

/** Whether `pg.Pool` had no connection to give in time: overload, unless the node answers nothing at all. */
export const isCheckoutTimeout = (error: unknown): boolean =>
  error instanceof Error && error.message === 'timeout exceeded when trying to connect'

/** SQLSTATE of a statement in a transaction that has failed before. */
export const IN_FAILED_TRANSACTION = '25P02'

/** The SQLSTATE of an error of the server. */
export const sqlStateOf = (error: unknown): string | undefined =>
  error instanceof pg.DatabaseError ? error.code : undefined

/** A failure in one word that holds no secret: its code, else its class. */
export const describeFailure = (error: Error | undefined): string => {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : (error?.name ?? 'unknown')
}
