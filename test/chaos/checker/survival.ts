import type { Fault, Operation } from '../history.ts'
import type { Facts } from './facts.ts'
import { finding } from './finding.ts'
import type { Finding } from './finding.ts'

/** An explicit session that nobody can serve in time fails with a type of its own: a right answer. */
const RIGHT_ANSWERS: ReadonlySet<string> = new Set(['SEGREGATO_STALE_REPLICAS'])

/** What a program throws that has a mistake: no fault of any server is the reason. */
const INTERNAL = /^(?:Type|Range|Reference|Syntax)Error\b/

/** SQLSTATE of a read that the standby has cancelled to go on replaying. */
const RECOVERY_CONFLICT = '40001'

/** For this time after a fault its consequences are still its own. */
const AFTERMATH_MS = 1_000

/** After the last fault everything works within this time. */
export const RECOVERY_MS = 10_000

/** The share of calls that may still get such an answer then: a busy machine is late as replicas are. */
const RIGHT_ANSWERS_SHARE = 0.02

/** A call fails only when no node was left that could have served it; afterwards none fails. */
export function* checkSurvival({ history }: Facts): Generator<Finding> {
  const nodes = Object.keys(history.ports)
  const ended = new Set(history.faults.flatMap(({ ends = [] }) => ends))
  const calmAt = history.healedAt + RECOVERY_MS
  const unserved: string[] = []
  for (const operation of history.operations) {
    if (operation.outcome === 'ok') continue
    const { id, error = '', invoked, outcome } = operation
    if (INTERNAL.test(error)) {
      yield finding('internal-error', error, id)
      continue
    }
    if (outcome === 'open') {
      if (!ended.has(operation.process))
        yield finding('never-returned', `a call of ${operation.process} never returned`, id)
      continue
    }
    const writes = operation.steps.some(({ type }) => type === 'append')
    // Replay takes the replica's snapshot away, fault or not, and the function around it is the caller's to repeat.
    if (operation.bound && !writes && error === RECOVERY_CONFLICT) continue
    if (invoked > calmAt && RIGHT_ANSWERS.has(error)) {
      unserved.push(id)
      continue
    }
    if (invoked > calmAt) {
      yield finding('not-alive', `failed (${error}) long after the last fault`, id)
      continue
    }
    if (RIGHT_ANSWERS.has(error)) continue
    const around = faultsAround(history.faults, operation)
    if (mayFail(operation, writes, around, nodes)) continue
    const why = around.map(({ kind, affects }) => `${kind} of ${affects.join(', ') || 'nobody'}`)
    yield finding(
      writes ? 'failed-write' : 'failed-read',
      `failed (${error}) during ${why.join(' and ') || 'no fault'}`,
      id,
    )
  }
  const calm = history.operations.filter(({ invoked }) => invoked > calmAt).length
  if (unserved.length > calm * RIGHT_ANSWERS_SHARE)
    yield finding(
      'not-alive',
      `${unserved.length} of ${calm} calls could not be served long after the last fault`,
      ...unserved,
    )
}

/** Failed calls and faults are few: each looks at all. */
const faultsAround = (
  faults: readonly Fault[],
  { invoked, returned = Infinity }: Operation,
): readonly Fault[] =>
  faults.filter(({ start, end }) => end + AFTERMATH_MS >= invoked && start <= returned)

const mayFail = (
  { promised, bound = false }: Operation,
  writes: boolean,
  around: readonly Fault[],
  nodes: readonly string[],
): boolean => {
  if (bound && around.some(({ affects }) => affects.length > 0)) return true
  // What must see the latest may need the primary.
  if (writes || promised !== 'eventual') return around.some(({ hitsPrimary }) => hitsPrimary)
  const affected = new Set(around.flatMap(({ affects }) => affects))
  return nodes.every((node) => affected.has(node))
}

/** What a call may take beyond its deadline: a write that is given up asks what has become of it. */
export const SLACK_MS = 300

/** No call returns later than its deadline, plus what its own process kept it waiting. */
export function* checkDeadlines({ history }: Facts): Generator<Finding> {
  for (const { id, invoked, returned, deadlineMs, stalledMs = 0 } of history.operations) {
    if (returned === undefined || deadlineMs === undefined) continue
    const overMs = returned - invoked - deadlineMs - stalledMs
    if (overMs > SLACK_MS)
      yield finding('late', `returned ${Math.round(overMs)} ms after its deadline`, id)
  }
}
