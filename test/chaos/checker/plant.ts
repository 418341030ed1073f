import type { Append, Fault, History, Operation, Promised, Step } from '../history.ts'
import type { Random } from '../random.ts'

/** What the planted faults are made of: histories are changed, never in place. */

export const appendsOf = (history: History, outcome: Operation['outcome']) =>
  history.operations
    .filter((operation) => operation.outcome === outcome)
    .flatMap((operation) =>
      operation.steps.flatMap((step) => (step.type === 'append' ? [{ operation, step }] : [])),
    )

export const pick = <T>(random: Random, among: readonly T[]): T | undefined =>
  among.length === 0 ? undefined : random.pick(among)

export const finalOf = (history: History, key: string): readonly number[] =>
  history.final.get(history.primary)?.get(key) ?? []

/** The final list of a key, changed on all nodes or on one. */
export const withFinal = (
  history: History,
  key: string,
  change: (list: readonly number[]) => readonly number[],
  only?: string,
): History => ({
  ...history,
  final: new Map(
    [...history.final].map(([node, lists]) => [
      node,
      only === undefined || only === node
        ? new Map([...lists, [key, change(lists.get(key) ?? [])] as const])
        : lists,
    ]),
  ),
})

export const withOperation = (history: History, changed: Operation): History => ({
  ...history,
  operations: history.operations.map((each) => (each.id === changed.id ? changed : each)),
})

/** One more call: a read of a key at the end of the run, or at a time of its own. */
export const withRead = (
  history: History,
  read: {
    readonly key: string
    readonly values: readonly number[]
    readonly session?: string
    readonly process?: string
    readonly promised?: Promised
    readonly at?: number
    readonly timeline?: number | undefined
  },
): History => {
  const { key, values, session = 'planted', process = 'p0', promised = 'session' } = read
  const { at = history.healedAt + history.operations.length, timeline } = read
  const steps: Step[] = [
    { type: 'read', key, values, ...(timeline === undefined ? {} : { timeline }) },
  ]
  const times = { invoked: at, returned: at + 0.001, outcome: 'ok' } as const
  const id = `planted${history.operations.length}`
  const call: Operation = { id, session, process, how: 'statement', promised, ...times, steps }
  return { ...history, operations: [...history.operations, call] }
}

/** An acknowledged append that is in the final list. */
export const keptAppend = (history: History, random: Random) =>
  pick(
    random,
    appendsOf(history, 'ok').filter(({ step }) => finalOf(history, step.key).includes(step.value)),
  )

export const before = (history: History, { key, value }: Append): readonly number[] => {
  const list = finalOf(history, key)
  return list.slice(0, list.indexOf(value))
}

export const laterThan = (operation: Operation): number => operation.returned! + 0.000_5

export const failing = (history: History, steps: readonly Step[], promised: Promised): History => {
  const [model] = history.operations
  const quiet = history.healedAt + 500
  const call: Operation = {
    ...model!,
    id: 'planted',
    session: 'planted',
    promised,
    invoked: quiet,
    returned: quiet + 1,
    outcome: 'failed',
    error: 'ECONNRESET',
    steps,
  }
  const replicaOnly: Fault = {
    kind: 'kill',
    start: quiet - 1,
    end: quiet + 2,
    affects: ['replica1'],
    hitsPrimary: false,
  }
  return {
    ...history,
    operations: [...history.operations, call],
    faults: [...history.faults.map((fault) => ({ ...fault, end: quiet - 2_000 })), replicaOnly],
  }
}

export const changeFirst = (
  history: History,
  isWanted: (operation: Operation) => boolean,
  change: (operation: Operation) => Operation,
): History | undefined => {
  const found = history.operations.find(isWanted)
  return found && withOperation(history, change(found))
}
