import type {
  Append,
  Branch,
  History,
  Operation,
  Promised,
  Read,
  Sample,
  Step,
} from '../history.ts'
import { seeded } from '../random.ts'
import type { Random } from '../random.ts'

const PORTS = { master: 5432, replica1: 5433, replica2: 5434 } as const
const PROMISES: readonly Promised[] = ['session', 'session', 'process', 'strong', 'eventual']

interface Simulated {
  name: string
  process: string
  busyUntil: number
  /** How many commits it must see. */
  position: number
  retired: number
}

interface Commit {
  readonly appends: readonly { readonly key: string; readonly value: number }[]
  readonly process: string
  readonly returned: number
}

/**
 * A history as a right library on right servers leaves it: one log of commits, replicas that show a
 * beginning of it, sessions that never go back. With `failover` the log loses its end once.
 */
export const validHistory = (
  seed: number,
  { calls = 300, failover = false }: { calls?: number; failover?: boolean } = {},
): History => {
  const world = new World(seeded(seed))
  for (let call = 0; call < calls; call++) {
    if (failover && call === Math.floor(calls / 2)) world.failOver()
    world.call()
  }
  return world.history()
}

class World {
  readonly #random: Random
  readonly #log: Commit[] = []
  readonly #operations: Operation[] = []
  readonly #samples: Sample[] = []
  readonly #branches: Branch[] = []
  readonly #sessions: Simulated[]
  #timeline = 1
  #now = 1_000
  #value = 0

  constructor(random: Random) {
    this.#random = random
    this.#sessions = Array.from({ length: 6 }, (_, index) => ({
      name: `s${index}`,
      process: `p${index % 3}`,
      busyUntil: 0,
      position: 0,
      retired: 0,
    }))
  }

  /** The last commits are on no server that lives on. */
  failOver(): void {
    const end = Math.max(0, this.#log.length - this.#random.between(0, 4))
    this.#branches.push({ timeline: this.#timeline, end: BigInt(end * 100) })
    this.#log.length = end
    this.#timeline++
    for (const session of this.#sessions) session.position = Math.min(session.position, end)
  }

  call(): void {
    this.#now += 1
    const session = this.#sessions.find(({ busyUntil }) => busyUntil < this.#now - 0.5)
    if (session === undefined) return
    // Others come first next time.
    this.#sessions.push(...this.#sessions.splice(this.#sessions.indexOf(session), 1))
    if (this.#random.chance(0.2)) session.process = `p${this.#random.between(0, 2)}`
    const invoked = Math.max(session.busyUntil, this.#now - 3 * this.#random.next())
    const returned = this.#now + 0.1 + 4 * this.#random.next()
    session.busyUntil = returned + 0.01
    if (this.#random.chance(0.5)) this.#write(session, invoked, returned)
    else this.#read(session, invoked, returned)
    this.#samples.push({
      at: this.#now + 0.05,
      timeline: this.#timeline,
      lsn: BigInt(this.#log.length * 100),
    })
  }

  #write(session: Simulated, invoked: number, returned: number): void {
    const keys = new Set(
      Array.from({ length: this.#random.between(1, 3) }, () => `k${this.#random.between(0, 5)}`),
    )
    const outcome = this.#random.pick(['ok', 'ok', 'ok', 'ok', 'ok', 'failed', 'unknown'] as const)
    const appends = [...keys].map((key): Append & { type: 'append' } => ({
      type: 'append',
      key,
      value: ++this.#value,
      server: { port: PORTS.master, inRecovery: false },
      lsn: BigInt(this.#log.length * 100 + 1),
      timeline: this.#timeline,
    }))
    if (outcome === 'ok' || (outcome === 'unknown' && this.#random.chance(0.5)))
      this.#log.push({ appends, process: session.process, returned })
    if (outcome === 'ok') session.position = this.#log.length
    const steps: Step[] = [...appends]
    if (outcome === 'ok' && this.#random.chance(0.3))
      steps.push(this.#look(this.#random.pick([...keys]), this.#log.length, PORTS.master))
    this.#record(session, {
      how: 'transaction',
      promised: 'session',
      invoked,
      returned,
      outcome,
      ...(outcome === 'ok' ? {} : { error: 'ECONNRESET' }),
      node: 'master',
      role: 'primary',
      steps,
    })
    if (outcome !== 'unknown') return
    session.name = `${session.name.split('.')[0]}.${++session.retired}`
    session.position = 0
  }

  #read(session: Simulated, invoked: number, returned: number): void {
    const promised = this.#random.pick(PROMISES)
    const latest = this.#log.length
    const least = {
      session: session.position,
      strong: latest,
      eventual: 0,
      process:
        this.#log.findLastIndex(
          (commit) => commit.process === session.process && commit.returned < invoked,
        ) + 1,
    }[promised]
    const view = this.#random.between(least, latest)
    if (promised === 'session' || promised === 'strong')
      session.position = Math.max(session.position, view)
    const node =
      promised === 'strong' ? 'master' : this.#random.pick(['replica1', 'replica2'] as const)
    this.#record(session, {
      how: 'statement',
      promised,
      invoked,
      returned,
      outcome: 'ok',
      node,
      role: node === 'master' ? 'primary' : 'replica',
      reason: 'balanced',
      steps: [this.#look(`k${this.#random.between(0, 5)}`, view, PORTS[node])],
    })
  }

  #look(key: string, view: number, port: number): Read {
    const values = this.#log
      .slice(0, view)
      .flatMap(({ appends }) => appends.filter((append) => append.key === key))
      .map(({ value }) => value)
    const server = { port, inRecovery: port !== PORTS.master }
    return {
      type: 'read',
      key,
      values,
      server,
      ...(server.inRecovery ? {} : { timeline: this.#timeline }),
    }
  }

  #record(session: Simulated, call: Omit<Operation, 'id' | 'session' | 'process'>): void {
    this.#operations.push({
      id: `o${this.#operations.length}`,
      session: session.name,
      process: session.process,
      deadlineMs: 2_000,
      stalledMs: 0,
      ...call,
    })
  }

  history(): History {
    const lists = new Map<string, number[]>()
    for (const { appends } of this.#log)
      for (const { key, value } of appends) lists.set(key, [...(lists.get(key) ?? []), value])
    const end = this.#now + 100
    return {
      operations: this.#operations,
      final: new Map(Object.keys(PORTS).map((node) => [node, lists])),
      primary: 'master',
      timeline: this.#timeline,
      ports: PORTS,
      branches: this.#branches,
      samples: this.#samples,
      faults: [
        {
          kind: 'anything',
          start: 0,
          end,
          affects: Object.keys(PORTS),
          hitsPrimary: true,
        },
      ],
      healedAt: end,
      refusedWrites: { replica1: 0, replica2: 0 },
      leftovers: ['p0', 'p1', 'p2'].map((process) => ({
        process,
        held: [{ node: 'master', purpose: 'write', total: 3, idle: 3, waiting: 0 }],
        backends: { master: 3 },
        idleInTransaction: 0,
      })),
      heaps: Array.from({ length: 16 }, (_, index) => ({
        process: `p${index % 2}`,
        at: index,
        bytes: 20e6 + 1e6 * this.#random.next(),
      })),
      complaints: [],
    }
  }
}
