import { openSync, writeSync } from 'node:fs'
import { now, stalledMs } from '../clock.ts'
import type { Operation, Outcome, Promised, Step } from '../history.ts'

/** What is known of a call before it is made. */
export interface Intention {
  readonly session: string
  readonly how: string
  readonly promised: Promised
  readonly deadlineMs: number | undefined
  readonly bound: boolean
  /** The appends that it attempts, with what servers say about them, and the reads that were answered. */
  readonly steps: Step[]
}

/** How a call ended. */
export interface Ending {
  readonly outcome: Exclude<Outcome, 'open'>
  readonly error?: string
  readonly node?: string
  readonly role?: 'primary' | 'replica'
  readonly reason?: string
  readonly isStale?: boolean
}

/** One line of the file: a call that begins, or the same call when it has ended. */
export type Line = Omit<Operation, 'outcome' | 'returned'> &
  Partial<Pick<Operation, 'outcome' | 'returned'>>

/**
 * Writes down each call before it is made and after it has ended: what a killed process leaves open
 * has an unknown outcome.
 */
export class Recorder {
  readonly #process: string
  readonly #file: number
  #calls = 0

  constructor(process: string, path: string) {
    this.#process = process
    this.#file = openSync(path, 'a')
  }

  begin(intention: Intention): (ending: Ending) => void {
    const { session, how, promised, deadlineMs, bound, steps } = intention
    const stalledBefore = stalledMs()
    const id = `${this.#process}.${++this.#calls}`
    const invoked = now()
    const call = { id, session, process: this.#process, how, promised, bound, invoked, deadlineMs }
    this.#write({ ...call, steps })
    return (ending) => {
      const returned = now()
      const stalled = stalledMs() - stalledBefore
      this.#write({ ...call, ...ending, returned, stalledMs: stalled, steps })
    }
  }

  #write(line: Line): void {
    const text = JSON.stringify(line, (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value,
    )
    writeSync(this.#file, `${text}\n`)
  }
}
