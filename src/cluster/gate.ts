import { ScopeBusyError } from '../errors.ts'

/** Lets the next one in; calling it again does nothing. */
export type Leave = () => void

interface Waiter {
  readonly enter: (leave: Leave) => void
  readonly fail: (error: Error) => void
}

/**
 * Lets the statements of one scope through one at a time, in the order of arrival. A nested
 * transaction holds it from beginning to end.
 */
export class Gate {
  readonly #waiting: Waiter[] = []
  readonly #busyTimeoutMs: number
  #taken = false
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
      this.#waiting.push({ enter, fail })
    })
  }

  /**
   * Says that the turn now belongs to a client whose COMMIT may never come, since the caller may be
   * waiting here himself: whoever waits longer than the limit fails instead of waiting for ever.
   */
  heldByClient(): void {
    this.#busyTimer = setTimeout(() => {
      for (const { fail } of this.#waiting.splice(0)) fail(new ScopeBusyError(this.#busyTimeoutMs))
      this.heldByClient()
    }, this.#busyTimeoutMs)
    this.#busyTimer.unref()
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
