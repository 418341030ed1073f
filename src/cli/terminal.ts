import type { ReadStream, WriteStream } from 'node:tty'

/** The other screen, no cursor, and lines that are cut at the edge rather than broken. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const CLEAR_TO_LINE_END = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'

/** A screen of its own in the terminal, which is as it was after `close()`. */
export class Screen {
  readonly #output: WriteStream
  #isOpen = false

  constructor(output: WriteStream) {
    this.#output = output
  }

  open(): void {
    this.#isOpen = true
    this.#output.write(ENTER)
  }

  /** Draws over the last lines instead of clearing first, which would flicker. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return
    const shown = lines.slice(0, this.#output.rows || lines.length)
    this.#output.write(
      HOME + shown.map((line) => line + CLEAR_TO_LINE_END).join('\r\n') + CLEAR_BELOW,
    )
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#output.write(LEAVE)
  }
}

const CTRL_C = '\x03'
const CTRL_D = '\x04'
const ESCAPE = '\x1b'

/** Waits for q or Ctrl-C, or for a signal. `restore()` gives the keyboard back. */
export const waitForQuit = (
  input: ReadStream,
): { readonly quit: Promise<void>; readonly restore: () => void } => {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  let restore = (): void => undefined
  const quit = new Promise<void>((resolve) => {
    const stop = (): void => resolve()
    const read = (keys: string): void => {
      if (['q', 'Q', CTRL_C, CTRL_D, ESCAPE].includes(keys)) resolve()
    }
    for (const signal of signals) process.on(signal, stop)
    if (input.isTTY) {
      // Keys come one by one and are not shown. Ctrl-C is a key then, not a signal.
      input.setRawMode(true)
      input.setEncoding('utf8').on('data', read).resume()
    }
    restore = () => {
      for (const signal of signals) process.off(signal, stop)
      if (!input.isTTY) return
      input.off('data', read).pause()
      input.setRawMode(false)
    }
  })
  return { quit, restore: () => restore() }
}
