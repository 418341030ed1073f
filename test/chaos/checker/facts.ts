import type { Append, History, Operation, Read } from '../history.ts'

/** An attempted append and what has become of it. */
export interface Attempt {
  readonly operation: Operation
  readonly append: Append
  /** Where the value stands in the final list; `undefined` when it is not there. */
  readonly index: number | undefined
  /** Acknowledged, and lost with the end of a timeline, which asynchronous replication may do. */
  readonly lost: boolean
}

/** A read list beside the final one. */
export interface Seen {
  readonly operation: Operation
  readonly read: Read
  /** How many values from the start on are those of the final list. */
  readonly reach: number
}

/** What the checks share, computed once in linear time. */
export interface Facts {
  readonly history: History
  readonly attempts: ReadonlyMap<number, Attempt>
  readonly seen: ReadonlyMap<Operation, readonly Seen[]>
  /** The final list of a key on the primary. */
  readonly final: (key: string) => readonly number[]
}

const NOTHING: readonly number[] = []

export const gatherFacts = (history: History): Facts => {
  const lists = history.final.get(history.primary)
  const final = (key: string): readonly number[] => lists?.get(key) ?? NOTHING
  const places = new Map<number, number>()
  for (const list of lists?.values() ?? []) list.forEach((value, index) => places.set(value, index))
  const isLost = lossJudge(history)
  const attempts = new Map<number, Attempt>()
  const seen = new Map<Operation, Seen[]>()
  for (const operation of history.operations) {
    const reads: Seen[] = []
    for (const step of operation.steps) {
      if (step.type === 'append') {
        const index = places.get(step.value)
        const lost = index === undefined && operation.outcome === 'ok' && isLost(operation, step)
        attempts.set(step.value, { operation, append: step, index, lost })
      } else {
        reads.push({ operation, read: step, reach: reachOf(step.values, final(step.key)) })
      }
    }
    if (reads.length > 0) seen.set(operation, reads)
  }
  return { history, attempts, seen, final }
}

const reachOf = (values: readonly number[], final: readonly number[]): number => {
  let reach = 0
  while (reach < values.length && values[reach] === final[reach]) reach++
  return reach
}

/**
 * Whether the loss of an acknowledged append is the cluster's own: it committed on a timeline behind
 * the point where the next one forked off. The place of a commit lies between what its statement
 * said and the first sample after the answer.
 */
const lossJudge = (history: History): ((operation: Operation, append: Append) => boolean) => {
  const ends = new Map(history.branches.map(({ timeline, end }) => [timeline, end]))
  const samples = history.samples.toSorted((a, b) => a.at - b.at)
  return ({ returned }, { timeline, lsn }) => {
    if (timeline === undefined || returned === undefined || timeline === history.timeline)
      return false
    const end = ends.get(timeline)
    // A timeline that the last primary's history never went through: all of it is lost.
    if (end === undefined) return true
    if (lsn !== undefined && lsn >= end) return true
    const after = samples.find((sample) => sample.timeline === timeline && sample.at > returned)
    return after === undefined || after.lsn > end
  }
}
