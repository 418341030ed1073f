/** Starting takes less than this where a template is there: then nothing is printed. */
const PATIENCE_MS = 2_000

export interface Progress {
  /** Tells which step begins. */
  readonly report: (message: string) => void
  /** The start has ended, well or not. */
  readonly end: () => void
}

/** To the given listener at once, else to standard error as soon as the start takes long. */
export const reportProgress = (listener: ((message: string) => void) | undefined): Progress => {
  if (listener !== undefined) return { report: listener, end: () => undefined }
  let current: string | undefined
  let isLate = false
  const print = (): void => {
    if (current !== undefined) process.stderr.write(`segregato: ${current} …\n`)
  }
  const timer = setTimeout(() => {
    isLate = true
    print()
  }, PATIENCE_MS)
  timer.unref()
  return {
    report: (message) => {
      current = message
      if (isLate) print()
    },
    end: () => clearTimeout(timer),
  }
}
