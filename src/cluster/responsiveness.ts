import { RUNTIME_LIMITS } from '../config/defaults.ts'
import { NodeUnresponsiveError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { isAlive } from './ask-node.ts'

const { askAfterMs, giveUpAfterMs } = RUNTIME_LIMITS.unresponsive

/** An attempt at a read that another node could serve as well. */
interface Attempt {
  readonly startedAt: number
  readonly giveUp: (error: Error) => void
}

/**
 * Notices that a node answers nothing any more, while somebody waits for an answer of it. A slow
 * statement is not a dead node: what has been without an answer for a while only makes us ask, on the
 * connection that is kept for that. When that is not answered either, reads are given up at once and go
 * elsewhere; everything else when the node stays mute. Costs nothing while nobody uses the node.
 */
export class Responsiveness {
  readonly #node: Node
  readonly #onMute: (error: Error) => void
  readonly #attempts = new Set<Attempt>()
  #timer: NodeJS.Timeout | undefined
  #looking = false
  #muteSince: number | undefined

  /** @param onMute - told each time that the node did not answer */
  constructor(node: Node, onMute: (error: Error) => void) {
    this.#node = node
    this.#onMute = onMute
    for (const connections of [node.read, node.write]) {
      connections.on('acquire', () => this.start())
    }
  }

  /** Attempts that are under way. */
  get inFlight(): number {
    return this.#attempts.size
  }

  /** An attempt begins; the function that it returns is to be called when it is over. */
  begin(giveUp: (error: Error) => void): () => void {
    const attempt = { startedAt: performance.now(), giveUp }
    this.#attempts.add(attempt)
    this.start()
    return () => this.#attempts.delete(attempt)
  }

  /** Somebody is about to wait for the node. */
  start(): void {
    if (this.#timer !== undefined || this.#looking) return
    this.#timer = setTimeout(() => void this.#look(), askAfterMs)
    // Whoever waits for an answer has a socket that keeps the process alive.
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    this.#timer = undefined
    this.#looking = true
    const node = this.#node
    const now = performance.now()
    const silent = [...node.read.silent(), ...node.write.silent()]
    const waiting = [...this.#attempts]
    const someWaitLong = waiting.some(({ startedAt }) => now - startedAt >= askAfterMs)
    const asks = silent.length > 0 || someWaitLong
    if (!asks || (await isAlive(node))) this.#muteSince = undefined
    else {
      this.#muteSince ??= now
      const error = new NodeUnresponsiveError(
        node.name,
        performance.now() - Math.min(this.#muteSince, waiting[0]?.startedAt ?? Infinity),
      )
      this.#onMute(error)
      // Also those that had just begun: they have waited as long as the question has.
      for (const attempt of waiting) if (this.#attempts.delete(attempt)) attempt.giveUp(error)
      if (performance.now() - this.#muteSince >= giveUpAfterMs) {
        for (const client of silent) client.connection.stream.destroy(error)
      }
    }
    this.#looking = false
    if (this.#attempts.size > 0 || node.inFlight > 0) this.start()
  }
}
