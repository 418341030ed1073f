import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Complaint, Heap, Held } from './history.ts'
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts'
import { seeded } from './random.ts'
import type { Random } from './random.ts'

interface Worker {
  readonly name: string
  readonly child: ChildProcess
  /** The nemesis has ended it, or it was told to close. */
  mayEnd: boolean
  readonly stopped: Promise<void>
  readonly closed: Promise<void>
}

/** What each worker is told, but for what is its own. */
export interface CrewOptions {
  /** The bundle of the worker. */
  readonly program: string
  /** Where the workers write their calls. */
  readonly directory: string
  readonly size: number
  readonly sessions: number
  readonly seed: number
  readonly tokenSecret: string
  /** The configuration for a worker, which carries its name. */
  readonly configFor: (name: string) => object
}

/** Values of one worker; no worker makes more calls than this. */
const VALUES_EACH = 5_000_000

/** The processes that use the library. */
export class Crew {
  readonly complaints: Complaint[] = []
  readonly heaps: Heap[] = []
  readonly #options: CrewOptions
  readonly #random: Random
  #workers: readonly Worker[] = []
  #hired = 0

  constructor(options: CrewOptions) {
    this.#options = options
    this.#random = seeded(options.seed)
  }

  async start(): Promise<void> {
    for (let index = 0; index < this.#options.size; index++) await this.#hire()
  }

  get names(): readonly string[] {
    return this.#workers.map(({ name }) => name)
  }

  /** Ends one worker without a word, and says which. */
  async kill(which: number): Promise<string> {
    const worker = this.#pick(which)
    worker.mayEnd = true
    const ended = once(worker.child, 'exit')
    worker.child.kill('SIGKILL')
    await ended
    this.#workers = this.#workers.filter((each) => each !== worker)
    return worker.name
  }

  /** Another worker takes the place of one that was killed. */
  async replace(): Promise<void> {
    await this.#hire()
  }

  stall(which: number, ms: number): void {
    tell(this.#pick(which), { type: 'stall', ms })
  }

  /** Each worker measures its heap and tells when it has. */
  measure(): void {
    for (const worker of this.#workers) tell(worker, { type: 'measure' })
  }

  /** No new calls; resolves when those that run have ended, or when the time is over. */
  async stop(limitMs: number): Promise<void> {
    for (const worker of this.#workers) tell(worker, { type: 'stop' })
    await within(limitMs, Promise.all(this.#workers.map(({ stopped }) => stopped)))
  }

  /** What each worker's cluster holds now. */
  async held(): Promise<ReadonlyMap<string, readonly Held[]>> {
    const answers = await Promise.all(
      this.#workers.map(async (worker) => {
        const answer = heard(worker.child, 'held')
        tell(worker, { type: 'ask' })
        const message = await within(5_000, answer)
        return [worker.name, message?.held ?? []] as const
      }),
    )
    return new Map(answers)
  }

  /** Closes the clusters and ends the processes. */
  async close(limitMs: number): Promise<void> {
    await Promise.all(
      this.#workers.map(async (worker) => {
        const { child, name, closed } = worker
        worker.mayEnd = true
        tell(worker, { type: 'close' })
        const inTime = await within(
          limitMs,
          closed.then(() => true),
        )
        if (inTime !== true) this.complaints.push({ process: name, message: 'close() did not end' })
        child.kill('SIGKILL')
      }),
    )
    this.#workers = []
  }

  async #hire(): Promise<void> {
    const { program, directory, sessions, seed, tokenSecret, configFor } = this.#options
    const name = `w${++this.#hired}`
    const child = fork(program, { execArgv: ['--expose-gc', '--enable-source-maps'] })
    const worker: Worker = {
      name,
      child,
      mayEnd: false,
      stopped: heard(child, 'stopped').then(() => undefined),
      closed: heard(child, 'closed').then(() => undefined),
    }
    child.on('message', (message: FromWorker) => this.#hear(worker, message))
    child.on('exit', (code, signal) => {
      if (worker.mayEnd) return
      this.complaints.push({
        process: name,
        message: `ended with ${signal ?? `exit code ${code}`}`,
      })
      this.#workers = this.#workers.filter((each) => each !== worker)
    })
    const start: WorkerStart = {
      name,
      seed: seed + this.#hired,
      sessions,
      firstValue: this.#hired * VALUES_EACH,
      file: join(directory, `${name}.jsonl`),
      config: configFor(name),
      tokenSecret,
    }
    const started = Promise.race([heard(child, 'started'), once(child, 'exit')])
    tell(worker, { type: 'start', start })
    await started
    if (child.exitCode !== null) throw new Error(`${name} did not start: see above`)
    this.#workers = [...this.#workers, worker]
  }

  #hear(from: Worker, message: FromWorker): void {
    if (message.type === 'heap') {
      const { at, bytes } = message
      this.heaps.push({ process: from.name, at, bytes })
    }
    if (message.type === 'complaint')
      this.complaints.push({ process: from.name, message: message.message })
    if (message.type === 'traveller') {
      const others = this.#workers.filter((worker) => worker !== from)
      const next = others.length === 0 ? from : this.#random.pick(others)
      tell(next, message)
    }
  }

  #pick(which: number): Worker {
    const worker = this.#workers[Math.floor(which * this.#workers.length)]
    if (worker === undefined) throw new Error('No worker is left')
    return worker
  }
}

const tell = ({ child }: Worker, message: ToWorker): void => {
  if (child.connected) child.send(message)
}

const heard = <Type extends FromWorker['type']>(
  child: ChildProcess,
  type: Type,
): Promise<Extract<FromWorker, { type: Type }>> =>
  new Promise((resolve) => {
    const listen = (message: FromWorker): void => {
      if (message.type !== type) return
      child.off('message', listen)
      resolve(message as Extract<FromWorker, { type: Type }>)
    }
    child.on('message', listen)
  })

/** What is promised, or nothing when it does not come in time. */
const within = <T>(limitMs: number, work: Promise<T>): Promise<T | undefined> =>
  Promise.race([work, sleep(limitMs, undefined, { ref: false })])
