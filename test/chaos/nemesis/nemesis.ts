import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../clock.ts'
import type { Complaint, Fault } from '../history.ts'
import type { FaultKind } from './kinds.ts'
import { NETWORK_FAULTS } from './network-faults.ts'
import { PROMOTION_FAULTS } from './promotion-faults.ts'
import { lengthOf } from './schedule.ts'
import type { PlannedFault, PlannedGroup } from './schedule.ts'
import { COMMON_FAULTS, SERVER_FAULTS } from './server-faults.ts'
import type { Stage } from './stage.ts'

/** Everything that can be done to a cluster. */
export const FAULT_KINDS: readonly FaultKind[] = [
  ...SERVER_FAULTS,
  ...NETWORK_FAULTS,
  ...COMMON_FAULTS,
  ...PROMOTION_FAULTS,
]

/** What a run of the nemesis was. */
export interface Inflicted {
  readonly faults: readonly Fault[]
  /** Faults that could not be injected or mended. */
  readonly complaints: readonly Complaint[]
}

/** The first fault finds everybody at work. */
const WARM_UP_MS = 2_000

/** Injects one group of faults after the other, each when the servers are whole again, while there is time. */
export const inflict = async (
  stage: Stage,
  plan: readonly PlannedGroup[],
  lengthMs: number,
  tell: (line: string) => void,
): Promise<Inflicted> => {
  const startedAt = now()
  const faults: Fault[] = []
  const complaints: Complaint[] = []
  await sleep(WARM_UP_MS)
  for (const group of plan) {
    if (now() - startedAt + lengthOf(group) > lengthMs) break
    await Promise.all(
      group.faults.map(async (planned) => {
        await sleep(planned.atMs)
        try {
          faults.push(await inflictOne(stage, planned, startedAt, tell))
        } catch (error) {
          const message = `${planned.kind} (${planned.slot ?? 'all'}): ${String(error)}`
          complaints.push({ process: 'nemesis', message })
        }
      }),
    )
    await sleep(group.pauseMs)
  }
  return { faults, complaints }
}

const inflictOne = async (
  stage: Stage,
  { kind: name, slot, lastsMs, size }: PlannedFault,
  startedAt: number,
  tell: (line: string) => void,
): Promise<Fault> => {
  const kind = FAULT_KINDS.find((each) => each.name === name)
  if (kind === undefined) throw new Error(`There is no fault called ${name}`)
  const node = slot === undefined ? '' : stage.nodeIn(slot)
  const wasPrimary = stage.primary
  const start = now()
  const seconds = ((start - startedAt) / 1_000).toFixed(1)
  tell(`${seconds} s: ${name}${node && ` of ${node}`} for ${lastsMs} ms`)
  const ends: string[] = []
  const mend = await kind.begin(stage, {
    node,
    lastsMs,
    size,
    killed: (process) => ends.push(process),
  })
  await sleep(lastsMs)
  await mend()
  const affects =
    kind.harmless === true ? [] : kind.affectsAll === true ? stage.nodes : node === '' ? [] : [node]
  return {
    kind: name,
    start,
    end: now(),
    affects,
    hitsPrimary: affects.includes(wasPrimary) || affects.includes(stage.primary),
    ends,
  }
}
