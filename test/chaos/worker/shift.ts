import { HistoryLostError } from '../../../src/errors.ts'
import type { Traveller } from '../messages.ts'
import { Caller } from './caller.ts'
import type { Office } from './caller.ts'

/** A session is over after this many visits: another one begins with nothing seen. */
const MOST_VISITS = 25

/**
 * The callers of one process at work, until they are stopped. Most are sessions that travel: each
 * visit is a `cluster.session()`, and the next one, with the token, is another process's.
 */
export class Shift {
  readonly #office: Office
  readonly #name: string
  readonly #send: (traveller: Traveller) => void
  readonly #complain: (message: string) => void
  readonly #visits = new Set<Promise<void>>()
  #born = 0
  #stopping = false

  constructor(
    office: Office,
    name: string,
    send: (traveller: Traveller) => void,
    complain: (message: string) => void,
  ) {
    this.#office = office
    this.#name = name
    this.#send = send
    this.#complain = complain
  }

  /** A session goes on here at once: what it brings along is still on its way to the replicas. */
  arrive(traveller: Traveller): void {
    if (this.#stopping) return
    const visit = this.#host(traveller).finally(() => this.#visits.delete(visit))
    this.#visits.add(visit)
  }

  /** Resolves when all callers have ended their last call. */
  async run(sessions: number): Promise<void> {
    const ofProcess = Math.max(1, Math.floor(sessions / 4))
    for (let index = ofProcess; index < sessions; index++) this.arrive(this.#newTraveller())
    await Promise.all(Array.from({ length: ofProcess }, () => this.#work()))
    while (this.#visits.size > 0) await Promise.all(this.#visits)
  }

  stop(): void {
    this.#stopping = true
  }

  /** A caller without a session of its own. */
  async #work(): Promise<void> {
    while (!this.#stopping) {
      const caller = new Caller(this.#office, {
        session: this.#newName(),
        explicit: false,
        onlyReads: false,
        keys: [],
      })
      // After an unknown outcome it is somebody else who goes on.
      while (!this.#stopping && (await caller.act()) !== 'unknown');
    }
  }

  /** One visit; then the session travels on, or another one begins in its place. */
  async #host(traveller: Traveller): Promise<void> {
    const next = await this.#visit(traveller).catch((error: unknown) => {
      // What it had seen is gone with a timeline, as `session()` is to say: another session begins.
      if (error instanceof HistoryLostError) return undefined
      // Calls keep their errors to themselves: this is one of session() or token().
      this.#complain(`a visit failed: ${error instanceof Error ? error.stack : String(error)}`)
      return undefined
    })
    if (next !== undefined && next.visits < MOST_VISITS) this.#send(next)
    else this.arrive(this.#newTraveller())
  }

  async #visit(traveller: Traveller): Promise<Traveller | undefined> {
    const { cluster, random } = this.#office
    const { session, token, keys, visits, onlyReads } = traveller
    const caller = new Caller(this.#office, { session, explicit: true, onlyReads, keys })
    return cluster.session(
      async () => {
        await caller.readBack()
        for (let calls = random.between(1, 6); calls > 0 && !this.#stopping; calls--)
          if ((await caller.act()) === 'unknown') return undefined
        const carried = await cluster.token()
        // No position could be given: nobody is promised anything.
        if (carried === undefined) return undefined
        return { session, token: carried, keys: caller.keys, visits: visits + 1, onlyReads }
      },
      { token },
    )
  }

  #newTraveller(): Traveller {
    return {
      session: this.#newName(),
      token: undefined,
      keys: [],
      visits: 0,
      onlyReads: this.#office.random.chance(0.35),
    }
  }

  #newName(): string {
    return `${this.#name}/${++this.#born}`
  }
}
