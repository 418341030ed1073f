import { setTimeout as sleep } from 'node:timers/promises'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import { InvalidArgumentError, WriteOutcomeUnknownError } from '../errors.ts'
import { faultOf } from '../routing/failures.ts'
import type { Deadline } from './deadline.ts'

/** How a transaction is repeated as a whole. */
export interface TransactionRetry {
  /** How often it is begun at most, the first time included. */
  readonly attempts: number
}

/** @throws InvalidArgumentError for what is no number of attempts from 1 to 100 */
export const attemptsOf = (retry: boolean | TransactionRetry | undefined): number => {
  if (retry === undefined || retry === false) return 1
  if (retry === true) return RUNTIME_LIMITS.transactionRetries.attempts
  const attempts: unknown = typeof retry === 'object' ? retry?.attempts : undefined
  if (Number.isInteger(attempts) && (attempts as number) >= 1 && (attempts as number) <= 100) {
    return attempts as number
  }
  throw new InvalidArgumentError(
    'retry must be true, false or { attempts } with a whole number from 1 to 100',
  )
}

/**
 * Runs a transaction again when PostgreSQL says that it may succeed then: it lost against another one
 * (SQLSTATE 40001), or was chosen to end a deadlock (40P01). Everything of it has been rolled back. With
 * pauses, or two that met would meet again.
 */
export const repeatTransaction = async <T>(
  attempts: number,
  deadline: Deadline,
  run: () => Promise<T>,
): Promise<T> => {
  const { firstMs, longestMs } = RUNTIME_LIMITS.transactionRetries
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (attempt >= attempts || deadline.isOver || !mayRepeat(error)) throw error
      const pauseMs = Math.min(longestMs, firstMs * 2 ** (attempt - 1)) * (0.5 + Math.random())
      // The time being over, what the caller gets to know is why it had to be repeated.
      await deadline
        .race(sleep(pauseMs), () => {})
        .catch(() => {
          throw error
        })
    }
  }
}

/** Also when the application has put the error into one of its own. */
const mayRepeat = (error: unknown, depth = 0): boolean =>
  error instanceof Error &&
  (faultOf(error, 'statement').follows.repeat === true ||
    (depth < 5 &&
      !(error instanceof WriteOutcomeUnknownError) &&
      mayRepeat(error.cause, depth + 1)))
