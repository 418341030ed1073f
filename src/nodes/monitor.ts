import { AsyncResource } from 'node:async_hooks'
import { ask } from './ask.ts'
import type { Answer } from './ask.ts'
import type { HealthEvent } from './health.ts'
import type { Node } from './node.ts'
import { PROBE_NAME } from './state.ts'
import type { ServerState } from './state.ts'

/** What a failed probe means. */
export type ProbeFailure =
  'refused' | 'silent' | 'starting' | 'misconfigured' | 'overloaded' | 'answered'

/** When nodes are asked. */
export interface MonitorTimes {
  /** How often a node is asked; each time up to a fifth earlier or later. */
  readonly intervalMs: number
  /** How long an answer may take. */
  readonly answerMs: number
  /** A server that starts is asked more often: after this time, then each time twice as long. */
  readonly startingFirstMs: number
  readonly startingLongestMs: number
  /** A process that has not looked for so long may have been frozen: what it knew counts no more. */
  readonly frozenMs: number
}

/** What the monitor needs to know and whom it tells. */
export interface MonitorHooks {
  readonly nodes: () => readonly Node[]
  /** `interval`: on a timer; `on_use`: beside statements only. */
  readonly mode: () => 'interval' | 'on_use'
  readonly classify: (error: Error) => ProbeFailure
  /** A node has said what it is; called before its health changes by that. */
  readonly onState: (node: Node, state: ServerState) => void
  /** A probe is over, and the node's health is up to date; without a state there was no answer. */
  readonly onProbed: (node: Node, state: ServerState | undefined) => void
  /** The process was frozen: nothing that is known holds. */
  readonly onFrozen: () => void
}

interface Watch {
  timer?: NodeJS.Timeout
  running?: Promise<void> | undefined
  startingMs: number
}

/** Between the two answers that bring a node back, at least. */
const SHORTEST_MS = 100

/** Asks every node what it is, again and again: the library's only repeating timer. */
export class Monitor {
  readonly #times: MonitorTimes
  readonly #hooks: MonitorHooks
  readonly #watches = new Map<Node, Watch>()
  /** Timers and connections of the monitor do not belong to whichever request came first. */
  readonly #context = new AsyncResource('segregato.Monitor')
  #state: 'new' | 'running' | 'stopped' = 'new'
  #roundAt = -Infinity
  #waking: Promise<void> | undefined

  constructor(times: MonitorTimes, hooks: MonitorHooks) {
    this.#times = times
    this.#hooks = hooks
  }

  /** Whether what is known of the nodes is renewed by itself. */
  get isWatching(): boolean {
    return this.#state === 'running' && this.#hooks.mode() === 'interval'
  }

  /** To be called with each statement. A promise: wait for it first, since nothing is known. */
  use(): Promise<void> | undefined {
    if (this.#hooks.mode() === 'on_use') return this.#lookBeside()
    if (this.#state === 'new') this.#context.runInAsyncScope(() => this.#start())
    return undefined
  }

  /** Nodes have come or gone, or the mode has changed. */
  sync(): void {
    const nodes = new Set(this.#hooks.nodes())
    for (const [node, { timer }] of this.#watches) {
      if (nodes.has(node) && this.isWatching) continue
      clearTimeout(timer)
      this.#watches.delete(node)
    }
    if (this.#state !== 'running') return
    if (this.#hooks.mode() === 'on_use') this.#state = 'new'
    else this.#context.runInAsyncScope(() => this.#start())
  }

  /** Something has happened to a node: it is asked now. */
  soon(node: Node): void {
    const watch = this.#watches.get(node)
    if (watch !== undefined && watch.running === undefined) this.#schedule(node, watch, 0)
  }

  stop(): void {
    this.#state = 'stopped'
    for (const { timer } of this.#watches.values()) clearTimeout(timer)
    this.#watches.clear()
  }

  #start(): void {
    this.#state = 'running'
    for (const node of this.#hooks.nodes()) {
      if (this.#watches.has(node)) continue
      const watch = { startingMs: this.#times.startingFirstMs }
      this.#watches.set(node, watch)
      void this.#look(node, watch)
    }
  }

  /** One round beside the statements; waited for when what is known is of no use any more. */
  #lookBeside(): Promise<void> | undefined {
    const now = performance.now()
    const age = now - this.#roundAt
    if (this.#state === 'stopped' || age < this.#times.intervalMs) return this.#waking
    const frozen = this.#roundAt > -Infinity && age > this.#times.frozenMs
    this.#roundAt = now
    if (frozen) this.#hooks.onFrozen()
    const round = this.#context.runInAsyncScope(async () => {
      await Promise.all(this.#hooks.nodes().map((node) => this.#ask(node)))
    })
    if (!frozen) return this.#waking
    this.#waking = round.finally(() => (this.#waking = undefined))
    return this.#waking
  }

  #look(node: Node, watch: Watch): Promise<void> {
    watch.running ??= this.#ask(node).then((failure) => {
      watch.running = undefined
      if (this.#watches.get(node) !== watch) return
      if (failure !== 'starting') watch.startingMs = this.#times.startingFirstMs
      this.#schedule(node, watch, this.#pause(node, watch, failure))
    })
    return watch.running
  }

  #schedule(node: Node, watch: Watch, ms: number): void {
    clearTimeout(watch.timer)
    watch.timer = setTimeout(() => void this.#look(node, watch), ms)
    watch.timer.unref()
  }

  #pause(node: Node, watch: Watch, failure: ProbeFailure | undefined): number {
    const { intervalMs, startingLongestMs } = this.#times
    const usual = intervalMs * (0.8 + 0.4 * Math.random())
    if (failure === 'starting') {
      const pause = watch.startingMs
      watch.startingMs = Math.min(startingLongestMs, pause * 2)
      return pause
    }
    const { cause, good, notBefore } = node.health
    const left = notBefore - performance.now()
    if (cause !== 'none' && good > 0) return Math.min(usual, Math.max(SHORTEST_MS, left))
    return cause === 'misconfigured' ? Math.max(usual, left) : usual
  }

  /** One probe. Why it failed; `undefined` when the server has answered, or has not in time. */
  async #ask(node: Node): Promise<ProbeFailure | undefined> {
    const answer = await this.#question(node)
    if (this.#state === 'stopped' || !this.#hooks.nodes().includes(node)) return undefined
    const failure = this.#judge(node, answer)
    this.#hooks.onProbed(node, answer.kind === 'answered' ? answer.value : undefined)
    return failure
  }

  #question(node: Node): Promise<Answer<ServerState>> {
    return ask(node.control, this.#times.answerMs, (client) => node.probe.ask(client, PROBE_NAME), {
      unref: true,
    })
  }

  #judge(node: Node, answer: Answer<ServerState>): ProbeFailure | undefined {
    if (answer.kind === 'answered') {
      node.observed = answer.value
      this.#hooks.onState(node, answer.value)
      node.note('probe-answered')
      return undefined
    }
    if (answer.kind === 'late') {
      if (!answer.heard) node.note('probe-missed', silence())
      return undefined
    }
    const failure = this.#hooks.classify(answer.error)
    node.note(EVENTS[failure], answer.error)
    return failure
  }
}

const EVENTS = {
  refused: 'probe-refused',
  starting: 'probe-refused',
  silent: 'probe-missed',
  misconfigured: 'misconfigured',
  overloaded: 'overloaded',
  answered: 'probe-answered',
} as const satisfies Record<ProbeFailure, HealthEvent>

const silence = (): Error =>
  Object.assign(new Error('the server did not answer a probe in time'), { code: 'ETIMEDOUT' })
