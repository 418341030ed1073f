import { ScopeBusyError } from '../errors.ts'

/** Lets the next one in; calling it again does nothing. */
export type Leave = () => void

interface Waiter {
  readonly since: number
  readonly enter: (leave: Leave) => void
  readonly fail: (error: Error) => void
}

/**
 * Lets the statements of one scope through one at a time, in the order of arrival. A nested
 * transaction holds it from beginning to end.
 */
export class Gate {
  #waiting: Waiter[] = []
  readonly #busyTimeoutMs: number
  #taken = false
  #progressAt = 0
  #busyTimer: NodeJS.Timeout | undefined

  constructor(busyTimeoutMs: number) {
    this.#busyTimeoutMs = busyTimeoutMs
  }

  /** Waits for the turn and runs the task in it. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    const leave = await this.enter()
    try {
      return await task()
    } finally {
      leave()
    }
  }

  /** Waits for the turn; the caller must leave. */
  enter(): Promise<Leave> {
    if (!this.#taken) {
      this.#taken = true
      return Promise.resolve(this.#leave())
    }
    return new Promise((enter, fail) => {
      this.#waiting.push({ since: performance.now(), enter, fail })
    })
  }

  /**
   * Says that the turn now belongs to a client whose COMMIT may never come, since the caller may be
   * waiting here himself: who waits for longer than the limit, while that client sends nothing,
   * fails instead of waiting for ever.
   */
  heldByClient(): void {
    this.progress()
    const check = (): void => {
      const now = performance.now()
      const patience = (since: number): number =>
        this.#busyTimeoutMs - (now - Math.max(since, this.#progressAt))
      const failed = this.#waiting.filter(({ since }) => patience(since) <= 0)
      this.#waiting = this.#waiting.filter((waiter) => !failed.includes(waiter))
      for (const { fail } of failed) fail(new ScopeBusyError(this.#busyTimeoutMs))
      const next = Math.min(
        this.#busyTimeoutMs,
        ...this.#waiting.map(({ since }) => patience(since)),
      )
      this.#busyTimer = setTimeout(check, Math.max(1, next))
      this.#busyTimer.unref()
    }
    check()
  }

  /** The client that holds the turn has sent something. */
  progress(): void {
    this.#progressAt = performance.now()
  }

  #leave(): Leave {
    let left = false
    return () => {
      if (left) return
      left = true
      clearTimeout(this.#busyTimer)
      const next = this.#waiting.shift()
      if (next === undefined) this.#taken = false
      else next.enter(this.#leave())
    }
  }
}
