import type { Stall } from './history.ts'

/** Milliseconds of the machine's monotonic clock: the same in all processes. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6

/** How often the event loop is looked at. */
const EVERY_MS = 5

let stalled = 0
let expected = 0

/** Measures from now on for how long the event loop has stood still. */
export const watchStalls = (): void => {
  expected = now() + EVERY_MS
  setInterval(() => {
    stalled += Math.max(0, now() - expected)
    expected = now() + EVERY_MS
  }, EVERY_MS).unref()
}

/** Longer than any load that leaves the machine usable keeps a timer waiting. */
const STANDS_STILL_MS = 250

/** Notes from now on when a process that does next to nothing was not run: the machine stood still. */
export const watchMachine = (): {
  readonly stalls: readonly Stall[]
  readonly stop: () => void
} => {
  const stalls: Stall[] = []
  let seenAt = now()
  const timer = setInterval(() => {
    const at = now()
    if (at - seenAt - EVERY_MS > STANDS_STILL_MS) stalls.push({ start: seenAt, end: at })
    seenAt = at
  }, EVERY_MS)
  timer.unref()
  return { stalls, stop: () => clearInterval(timer) }
}

/** The sum of all stalls up to now, one that is just ending included. */
export const stalledMs = (): number => stalled + Math.max(0, now() - expected)
