import { seeded } from '../random.ts'
import type { Random } from '../random.ts'

/** Which server a fault is for: roles and turns, since names change roles. */
export const SLOTS = ['primary', 'first replica', 'second replica'] as const
export type Slot = (typeof SLOTS)[number]

/** What a kind of fault says of itself. */
export interface Kind {
  readonly name: string
  /** The servers that it may be for; none: it is for processes or for all servers. */
  readonly slots: readonly Slot[]
  /** Nothing else goes on at the same time. */
  readonly alone?: boolean
  /** How often it is chosen beside the others. @defaultValue 1 */
  readonly weight?: number
}

/** One fault of a run. */
export interface PlannedFault {
  readonly kind: string
  readonly slot: Slot | undefined
  /** Milliseconds since the load began. */
  readonly atMs: number
  readonly lastsMs: number
  /** How bad, in [0, 1): what that means is the kind's. */
  readonly size: number
}

const WARM_UP_MS = 2_000
const LASTS_MS = [400, 3_500] as const
const PAUSE_MS = [800, 2_500] as const
const OVERLAPPING = 0.4

/** The faults of a run: the same for the same seed, one or two at a time, each followed by a pause. */
export const schedule = (
  seed: number,
  untilMs: number,
  kinds: readonly Kind[],
): readonly PlannedFault[] => {
  const random = seeded(seed)
  const faults: PlannedFault[] = []
  let atMs = WARM_UP_MS
  for (;;) {
    const one = planned(random, atMs, kinds)
    const group = [one.fault]
    const others = kinds.filter(({ alone, slots }) => alone !== true && slots.length > 0)
    if (one.kind.alone !== true && others.length > 0 && random.chance(OVERLAPPING)) {
      const startMs = atMs + Math.floor(one.fault.lastsMs * random.next())
      const other = planned(random, startMs, others).fault
      // Two faults of one server would heal each other.
      if (other.slot !== one.fault.slot) group.push(other)
    }
    const endMs = Math.max(...group.map((fault) => fault.atMs + fault.lastsMs))
    if (endMs > untilMs) return faults
    faults.push(...group)
    atMs = endMs + random.between(...PAUSE_MS)
  }
}

const planned = (
  random: Random,
  atMs: number,
  kinds: readonly Kind[],
): { fault: PlannedFault; kind: Kind } => {
  const kind = random.pick(
    kinds.flatMap((each) => Array.from({ length: each.weight ?? 1 }, () => each)),
  )
  const slot = kind.slots.length === 0 ? undefined : random.pick(kind.slots)
  const lastsMs = random.between(...LASTS_MS)
  return { kind, fault: { kind: kind.name, slot, atMs, lastsMs, size: random.next() } }
}
