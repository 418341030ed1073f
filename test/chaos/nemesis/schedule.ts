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
  /** Milliseconds after the first fault of its group. */
  readonly atMs: number
  readonly lastsMs: number
  /** How bad, in [0, 1): what that means is the kind's. */
  readonly size: number
}

/** One fault, or two that overlap; the next group waits until these are mended, and a little longer. */
export interface PlannedGroup {
  readonly faults: readonly PlannedFault[]
  readonly pauseMs: number
}

const LASTS_MS = [400, 3_500] as const
const PAUSE_MS = [800, 2_500] as const
const OVERLAPPING = 0.4

/** The faults of a run of this length: the same for the same seed. */
export const schedule = (
  seed: number,
  lengthMs: number,
  kinds: readonly Kind[],
): readonly PlannedGroup[] => {
  const random = seeded(seed)
  const groups: PlannedGroup[] = []
  for (let atMs = 0; atMs < lengthMs;) {
    const group = planned(random, kinds)
    groups.push(group)
    atMs += lengthOf(group) + group.pauseMs
  }
  return groups
}

/** How long a group takes, as far as is planned: mending may take longer. */
export const lengthOf = ({ faults }: PlannedGroup): number =>
  Math.max(...faults.map(({ atMs, lastsMs }) => atMs + lastsMs))

const planned = (random: Random, kinds: readonly Kind[]): PlannedGroup => {
  const kind = random.pick(
    kinds.flatMap((each) => Array.from({ length: each.weight ?? 1 }, () => each)),
  )
  const first = plannedFault(random, kind, 0)
  const faults = [first]
  const others = kinds.filter(({ alone, slots }) => alone !== true && slots.length > 0)
  if (kind.alone !== true && others.length > 0 && random.chance(OVERLAPPING)) {
    const atMs = Math.floor(first.lastsMs * random.next())
    const second = plannedFault(random, random.pick(others), atMs)
    // Two faults of one server would mend each other.
    if (second.slot !== first.slot) faults.push(second)
  }
  return { faults, pauseMs: random.between(...PAUSE_MS) }
}

const plannedFault = (random: Random, { name, slots }: Kind, atMs: number): PlannedFault => ({
  kind: name,
  slot: slots.length === 0 ? undefined : random.pick(slots),
  atMs,
  lastsMs: random.between(...LASTS_MS),
  size: random.next(),
})
