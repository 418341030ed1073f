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

/** The sum of all stalls up to now, one that is just ending included. */
export const stalledMs = (): number => stalled + Math.max(0, now() - expected)
