import pg from 'pg'
import { NodeUnresponsiveError } from '../errors.ts'
import { isPasswordFailure } from '../nodes/options.ts'
import { FAULTS } from './error-table.ts'
import type { FaultName } from './error-table.ts'
import type { Fault, FaultPlace, Signal } from './fault.ts'

/** What `pg` gives as an error or as a notice. */
interface Seen {
  readonly code?: unknown
  readonly message?: string
  readonly severity?: string | undefined
  readonly routine?: string | undefined
}

/** The row of the table of faults that says what an error means. */
export const faultOf = (error: unknown, place: Exclude<FaultPlace, 'notice'>): Fault =>
  FAULTS.find((fault) => fits(fault, place, error)) ?? UNKNOWN

/** The row for a notice, when it says something about the work that was asked for. */
export const faultOfNotice = (notice: unknown): Fault | undefined =>
  FAULTS.find((fault) => fits(fault, 'notice', notice))

/** Whether a failed statement is this case. */
export const isFault = (error: unknown, name: FaultName): boolean =>
  faultOf(error, 'statement').name === name

/** What is no error at all, but was thrown. */
const UNKNOWN: Fault = {
  name: 'other error',
  places: ['statement'],
  signals: [],
  follows: { read: 'caller', write: 'failed', node: 'none', client: 'destroy' },
}

const fits = (fault: Fault, place: FaultPlace, seen: unknown): boolean =>
  typeof seen === 'object' &&
  seen !== null &&
  fault.places.includes(place) &&
  fault.signals.some((signal) => shows(signal, place, seen))

const shows = (signal: Signal, place: FaultPlace, seen: Seen): boolean =>
  (signal.from === undefined || comesFrom(signal.from, place, seen)) &&
  (signal.codes === undefined || isOneOf(signal.codes, seen.code)) &&
  (signal.routines === undefined || isOneOf(signal.routines, seen.routine)) &&
  (signal.messages === undefined || begins(signal.messages, seen)) &&
  (signal.password === undefined || (seen instanceof Error && isPasswordFailure(seen)))

/**
 * The server's words for what ends a connection, as far as they are not the same in all languages: `pg`
 * does not pass on the one that is never translated. While connecting every error is one of these.
 */
const FATAL: ReadonlySet<string> = new Set(['FATAL', 'PANIC', 'PANIK', 'ВАЖНО', 'ПАНИКА'])

const comesFrom = (from: NonNullable<Signal['from']>, place: FaultPlace, seen: Seen): boolean => {
  const server = seen instanceof pg.DatabaseError
  if (from === 'client') return !server
  // Hooks of the pool run statements of their own while connecting; what they fail with is theirs.
  const fatal = server && (place === 'idle' || FATAL.has(seen.severity ?? ''))
  return from === 'server' ? server && (fatal || place !== 'idle') : fatal
}

/** The SQLSTATE of an error of the server. */
export const sqlStateOf = (error: unknown): string | undefined =>
  error instanceof pg.DatabaseError ? error.code : undefined

/** A failure in one word that holds no secret: its code, else its class. */
export const describeFailure = (error: Error | undefined): string => {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : (error?.name ?? 'unknown')
}

/** Whether a text is one of these; one that ends with `*` stands for all that begin so. */
const isOneOf = (known: readonly string[], text: unknown): boolean =>
  typeof text === 'string' &&
  known.some((each) => (each.endsWith('*') ? text.startsWith(each.slice(0, -1)) : text === each))

const begins = (messages: readonly string[], seen: Seen): boolean =>
  !(seen instanceof pg.DatabaseError) &&
  messages.some((known) => seen.message?.startsWith(known) ?? false)

/** The row for a node that has not even had a connection to give, and answers nothing. */
export const NO_ANSWER: Fault = faultOf(new NodeUnresponsiveError('', 0), 'connect')
