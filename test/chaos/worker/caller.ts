import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import type { Outcome, Promised, Step } from '../history.ts'
import type { Random } from '../random.ts'
import { outcomeOf, READS, WRITES } from './calls.ts'
import type { Way } from './calls.ts'
import type { Keys } from './keys.ts'
import { recording } from './library.ts'
import type { Record } from './library.ts'
import type { Ending, Recorder } from './recorder.ts'

/** What all callers of a process share. */
export interface Office {
  readonly cluster: Cluster
  readonly random: Random
  readonly recorder: Recorder
  readonly keys: Keys
  readonly nextValue: () => number
}

/** A caller remembers these keys, and comes back to them. */
const REMEMBERED = 6
/** Callers think between two calls, or two cores would see nothing but their own load. */
const THINK_MS = 40

/** Who calls. */
interface Identity {
  readonly session: string
  /** Whether a session of its own is open around the calls. */
  readonly explicit: boolean
  readonly onlyReads: boolean
  /** What it remembers. */
  readonly keys: readonly string[]
}

const OWN_READS = [READS.statement, READS.pool, READS.model, READS.snapshot]

/** One caller: its calls follow one another, each is recorded. */
export class Caller {
  readonly #office: Office
  readonly #who: Identity
  #keys: readonly string[]

  constructor(office: Office, who: Identity) {
    this.#office = office
    this.#who = who
    this.#keys = who.keys
  }

  get keys(): readonly string[] {
    return this.#keys
  }

  /** Makes one call after a pause. */
  async act(): Promise<Outcome> {
    const { random } = this.#office
    await sleep(random.between(0, THINK_MS))
    const writes = !this.#who.onlyReads && random.chance(0.5)
    return writes ? this.#write() : this.#read()
  }

  /** Reads at once what it has touched last, if anything: as a page does that is shown after a form was sent. */
  async readBack(): Promise<Outcome | undefined> {
    const [last] = this.#keys
    if (last === undefined) return undefined
    return this.#call(this.#office.random.pick(OWN_READS), this.#own, [last], [])
  }

  #write(): Promise<Outcome> {
    const { random, keys, nextValue } = this.#office
    const way = random.pick([
      WRITES.statement,
      WRITES.pool,
      WRITES.transaction,
      WRITES.transaction,
      WRITES.model,
    ])
    const isOne = way !== WRITES.transaction
    const chosen = way === WRITES.model ? [`new${nextValue()}.0`] : keys.some(isOne ? 1 : 3)
    const steps = chosen.map((key): Step => ({ type: 'append', key, value: nextValue() }))
    return this.#call(way, this.#own, chosen, steps)
  }

  #read(): Promise<Outcome> {
    const { random, keys } = this.#office
    const turn = random.next()
    const promised: Promised = turn < 0.8 ? this.#own : turn < 0.9 ? 'strong' : 'eventual'
    const ways = {
      session: OWN_READS,
      process: OWN_READS,
      strong: [READS.statement, READS.model, READS.using, READS.transaction],
      eventual: [READS.statement, READS.model],
    }[promised]
    const known = this.#keys.length > 0 && random.chance(0.7)
    return this.#call(
      random.pick(ways),
      promised,
      [known ? random.pick(this.#keys) : keys.choose()],
      [],
    )
  }

  get #own(): Promised {
    return this.#who.explicit ? 'session' : 'process'
  }

  async #call(
    way: Way,
    promised: Promised,
    chosen: readonly string[],
    steps: Step[],
  ): Promise<Outcome> {
    const { cluster, recorder, keys } = this.#office
    const { how, deadlineMs, bound = false } = way
    const end = recorder.begin({
      session: this.#who.session,
      how,
      promised,
      deadlineMs,
      bound,
      steps,
    })
    const ending = await this.#make(way, { cluster, promised, keys: chosen, steps }, keys)
    end(ending)
    this.#keys = [...new Set([...chosen, ...this.#keys])].slice(0, REMEMBERED)
    return ending.outcome
  }

  async #make(
    way: Way,
    call: Omit<Parameters<Way['make']>[0], 'onLength'>,
    keys: Keys,
  ): Promise<Ending> {
    const record: Record = {}
    try {
      await recording(record, () =>
        way.make({ ...call, onLength: (key, length) => keys.noteLength(key, length) }),
      )
      return { outcome: 'ok', ...record }
    } catch (error) {
      const { code, name, message } = error as Error & { code?: string }
      return {
        outcome: outcomeOf(way.how, error),
        error: code ?? (name === 'Error' ? message : `${name}: ${message}`),
        ...record,
      }
    }
  }
}
