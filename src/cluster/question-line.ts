import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientBase } from 'pg'
import { DeadlineExceededError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { faultOf, sqlStateOf } from '../routing/failures.ts'
import { Deadline } from './deadline.ts'
import { Lease } from './lease.ts'

/** A server of which nothing is heard for so long does not answer. A question may take several round trips. */
const ANSWER_TIMEOUT_MS = 500

/** How long anybody waits for a server that did not answer the last time. */
const SILENT_PATIENCE_MS = 50

/** How long the connection is kept from others, the monitor among them, while nobody asks. */
const KEEP_MS = 20

/** A server that has refused a question is asked again after this time: its rights may have been changed. */
const REFUSED_MS = 30_000

/** What a server says that does not let us ask, or does not have what we ask for. */
const REFUSALS: ReadonlySet<string | undefined> = new Set(['42501', '42883', '0A000'])

/**
 * A connection of a node for questions about positions, one at a time. It is kept while questions come
 * one after the other, since taking it anew costs as much as asking.
 */
export class QuestionLine {
  readonly #node: Node
  readonly #onSilent: (withoutMs: number) => void
  #lease: Lease | undefined
  #running: Promise<unknown> | undefined
  /** When something was asked or heard last, and how much had been received by then. */
  #heardAt = 0
  #received = 0
  /** The question that runs was given up. */
  #abandoned = false
  /** The last question got no answer at all. */
  #isSilent = false
  /** How often that has happened. */
  #silences = 0
  #refusedUntil = -Infinity
  #keeps = true
  /** Gives a question up, and the connection back when it has not been used for a while. */
  #timer: NodeJS.Timeout | undefined

  /** @param onSilent - told when the server does not answer, with how long it was waited for */
  constructor(node: Node, onSilent: (withoutMs: number) => void) {
    this.#node = node
    this.#onSilent = onSilent
  }

  /** Whether the server tells its position, as far as is known: it may have refused, here or to the monitor. */
  get tellsPosition(): boolean {
    return !this.isRefused && this.#node.probe.tellsPosition
  }

  /** Whether the server has refused to answer, and need not be asked for the time being. */
  get isRefused(): boolean {
    return this.#refusedUntil > 0 && performance.now() < this.#refusedUntil
  }

  /**
   * `undefined` when the server does not answer in time, with an error, or refuses to. While it keeps
   * silent one question at a time is enough to notice its return, and nobody waits long for that.
   */
  async ask<T>(question: (client: ClientBase) => Promise<T>): Promise<T | undefined> {
    if (this.isRefused) return undefined
    const turn = { isOver: false }
    const answer = this.#inTurn(question, turn)
    if (!this.#isSilent) return answer
    const patience = sleep(SILENT_PATIENCE_MS, undefined, { ref: false })
    const given = await Promise.race([answer, patience])
    turn.isOver = true
    return given
  }

  /** Keeps no connection from now on. */
  close(): void {
    this.#keeps = false
    clearTimeout(this.#timer)
    if (this.#running === undefined) this.#giveBack()
  }

  async #inTurn<T>(
    question: (client: ClientBase) => Promise<T>,
    turn: { readonly isOver: boolean },
  ): Promise<T | undefined> {
    while (this.#running !== undefined) {
      const before = this.#silences
      await this.#running
      // Who has waited with the one before has waited long enough.
      if (turn.isOver || before !== this.#silences) return undefined
    }
    const running = this.#run(question)
    this.#running = running
    try {
      return await running
    } finally {
      this.#running = undefined
    }
  }

  async #run<T>(question: (client: ClientBase) => Promise<T>): Promise<T | undefined> {
    const kept = this.#lease !== undefined
    const { received } = this.#node.control
    this.#abandoned = false
    try {
      const lease = (this.#lease ??= await this.#take())
      lease.holdProcess(true)
      this.#watch()
      const answer = await question(lease.client)
      this.#refusedUntil = 0
      this.#isSilent = false
      // Others need the connection too.
      if (this.#node.control.counts.waitingCount > 0) this.#giveBack()
      // Kept only: it does not keep the process alive.
      else lease.holdProcess(false)
      return answer
    } catch (error) {
      // Logging in may take longer than that, and is gone on with for the next question.
      const late = error instanceof DeadlineExceededError && received >= this.#node.control.received
      if (this.#abandoned || late) this.#fallSilent()
      if (REFUSALS.has(sqlStateOf(error))) this.#refusedUntil = performance.now() + REFUSED_MS
      this.#giveBack(error)
      // A connection that was kept may have been closed long ago.
      const again =
        kept && !this.#abandoned && faultOf(error, 'statement').follows.client !== 'keep'
      return again ? await this.#run(question) : undefined
    } finally {
      if (!this.#keeps) this.#giveBack()
    }
  }

  #fallSilent(): void {
    this.#isSilent = true
    this.#silences++
    this.#onSilent(ANSWER_TIMEOUT_MS)
  }

  #take(): Promise<Lease> {
    return Lease.take(this.#node, 'control', new Deadline({ timeoutMs: ANSWER_TIMEOUT_MS }))
  }

  #watch(): void {
    this.#heardAt = performance.now()
    this.#received = this.#node.control.received
    if (this.#timer !== undefined) this.#timer.refresh()
    // After a stall of the event loop the answer may be there, and is read first.
    else this.#timer = setTimeout(() => setImmediate(this.#expire), KEEP_MS).unref()
  }

  #hasHeard(): boolean {
    const { received } = this.#node.control
    if (received <= this.#received) return false
    this.#received = received
    this.#heardAt = performance.now()
    return true
  }

  readonly #expire = (): void => {
    if (this.#running === undefined) {
      this.#giveBack()
    } else if (this.#hasHeard() || performance.now() - this.#heardAt < ANSWER_TIMEOUT_MS) {
      this.#timer?.refresh()
    } else {
      this.#abandoned = true
      // The question rejects when its connection is destroyed.
      this.#lease?.abandon()
      this.#lease = undefined
    }
  }

  #giveBack(error?: unknown): void {
    const lease = this.#lease
    this.#lease = undefined
    lease?.release(error)
  }
}
