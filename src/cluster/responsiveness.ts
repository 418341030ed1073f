import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PoolClient } from 'pg'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import { NodeUnresponsiveError } from '../errors.ts'
import type { NodeClient } from '../nodes/client.ts'
import { probeIdleBackends } from '../nodes/idle-backends.ts'
import type { Node } from '../nodes/node.ts'
import { askNode, isAlive } from './ask-node.ts'

const { answerWithinMs, askAfterMs, giveUpAfterMs } = RUNTIME_LIMITS.unresponsive

/** An attempt at a read that another node could serve as well. */
interface Attempt {
  readonly startedAt: number
  readonly giveUp: (error: Error) => void
  /** What it was sent on, and when. */
  sent: { readonly on: NodeClient; readonly at: number; readonly received: number } | undefined
}

/** One attempt, as whoever makes it tells of it. */
export interface Watched {
  /** A statement is about to be sent on this connection. */
  sends(client: PoolClient): void
  /** To be called when it is over. */
  end(): void
}

/** What the kernel says of a connection that is half open, when it finds out: minutes or hours later. */
const lost = (): Error =>
  Object.assign(
    new Error('read ETIMEDOUT: the server waits for a statement that was sent long ago'),
    {
      code: 'ETIMEDOUT',
    },
  )

/**
 * Notices that a node answers nothing any more, while somebody waits for an answer of it. A slow
 * statement is not a dead node: what has been without an answer for a while only makes us ask, on the
 * connection that is kept for that. When that is not answered either, reads are given up at once and go
 * elsewhere; everything else when the node stays mute. When it is answered, and says that it waits for a
 * statement which has long been sent, that connection is lost. Costs nothing while nobody uses the node.
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

  /** An attempt begins. */
  begin(giveUp: (error: Error) => void): Watched {
    const attempt: Attempt = { startedAt: performance.now(), giveUp, sent: undefined }
    this.#attempts.add(attempt)
    this.start()
    return {
      sends: (client) => {
        const on = client as unknown as NodeClient
        attempt.sent = { on, at: performance.now(), received: on.received }
      },
      end: () => this.#attempts.delete(attempt),
    }
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
    if (!asks || (await isAlive(node))) {
      this.#muteSince = undefined
      await this.#dropLost(now)
    } else {
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

  async #dropLost(now: number): Promise<void> {
    const { applicationName, pgbouncer } = this.#node.config
    const hasNoAnswer = ({ sent }: Attempt): boolean =>
      sent !== undefined && sent.on.isWaiting && sent.on.received === sent.received
    const silent = [...this.#attempts].filter(
      (attempt) => hasNoAnswer(attempt) && now - (attempt.sent?.at ?? now) >= askAfterMs,
    )
    if (silent.length === 0 || pgbouncer) return
    const pids = silent.flatMap(({ sent }) => sent?.on.processId ?? [])
    const idle = await askNode(this.#node, answerWithinMs, (client) =>
      probeIdleBackends(client, pids, applicationName),
    )
    // An answer that has come meanwhile is read first.
    await nextTurn()
    for (const attempt of silent) {
      const pid = attempt.sent?.on.processId
      const isLost = pid !== undefined && idle?.has(pid) === true && hasNoAnswer(attempt)
      if (isLost && this.#attempts.delete(attempt)) attempt.giveUp(lost())
    }
  }
}
