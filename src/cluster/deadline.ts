import { DeadlineExceededError, InvalidArgumentError } from '../errors.ts'
import type { CallOptions } from './statement.ts'

/** The limit of one call, for everything that it does. */
export class Deadline {
  readonly #timeoutMs: number | undefined
  readonly #endsAt: number
  readonly #signal: AbortSignal | undefined
  #over = false

  /**
   * @throws InvalidArgumentError for a time that is no positive number, and for a signal that is none
   * @throws the signal's reason when it is aborted already
   */
  constructor({ timeoutMs, signal }: Pick<CallOptions, 'timeoutMs' | 'signal'>) {
    if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs > 0)) {
      throw new InvalidArgumentError(
        `timeoutMs must be a positive number of milliseconds, not ${timeoutMs}`,
      )
    }
    // Also one of another realm, as test runners have them.
    if (
      signal !== undefined &&
      typeof (signal as Partial<AbortSignal>)?.throwIfAborted !== 'function'
    )
      throw new InvalidArgumentError('signal must be an AbortSignal')
    signal?.throwIfAborted()
    this.#timeoutMs = timeoutMs
    this.#endsAt = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs
    this.#signal = signal
  }

  /** The part of the time that finding out what has become of a write may take, in milliseconds. */
  reserve(longestMs: number): number {
    return Math.min(longestMs, (this.#timeoutMs ?? Infinity) / 4)
  }

  /** Whether there is a time at which the call ends. */
  get isLimited(): boolean {
    return this.#timeoutMs !== undefined
  }

  /** Whether something was given up because the time was over or the signal aborted. */
  get isOver(): boolean {
    return this.#over
  }

  /**
   * Settles as the work does, or rejects when the time is over or the signal aborts.
   *
   * @param abandon - called once in the latter case, to end what still runs
   * @param reserveMs - how much of the time is left for what follows when the work is given up
   */
  race<T>(work: Promise<T>, abandon: () => void, reserveMs = 0): Promise<T> {
    const signal = this.#signal
    const timeoutMs = this.#timeoutMs
    if (timeoutMs === undefined && signal === undefined) return work
    const left = (): number => this.#endsAt - reserveMs - performance.now()
    return new Promise((resolve, reject) => {
      const stop = (reason: unknown): void => {
        this.#over = true
        settle()
        abandon()
        reject(reason)
      }
      let settled = false
      const onAbort = (): void => stop(signal?.reason)
      let timer: NodeJS.Timeout | undefined
      const arm = (): void => {
        timer = setTimeout(expire, Math.min(Math.max(0, left()), LONGEST_TIMER_MS))
      }
      const expire = (): void => {
        if (timeoutMs === undefined) return
        // Timers fire a little early; and no timer lasts for the longest times.
        if (left() > 1) arm()
        // After a stall of the event loop the timer fires before the answer, which has long been
        // there, is read: one more turn before it counts.
        else setImmediate(() => settled || stop(new DeadlineExceededError(timeoutMs)))
      }
      if (timeoutMs !== undefined) arm()
      const settle = (): void => {
        settled = true
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      // An abort between two pieces of work has nobody to call.
      if (signal?.aborted) onAbort()
      work.then(
        (value) => {
          settle()
          resolve(value)
        },
        (error: unknown) => {
          settle()
          reject(error)
        },
      )
    })
  }
}

/** Longer ones fire at once: the delay is a signed 32-bit number. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
