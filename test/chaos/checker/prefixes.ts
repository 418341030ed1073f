import type { Facts, Seen } from './facts.ts'
import { finding } from './finding.ts'
import type { Finding } from './finding.ts'

/**
 * Each list that was read is the beginning of the final one, or of one that ended with its timeline.
 * No value in it comes from nowhere or from a write that was not done.
 */
export function* checkPrefixes(facts: Facts): Generator<Finding> {
  const branches = new Map<string, Seen>()
  for (const reads of facts.seen.values()) {
    for (const seen of reads) {
      const { operation, read, reach } = seen
      if (operation.outcome !== 'ok' || reach === read.values.length) continue
      const found = judgeRest(facts, seen)
      if (found !== undefined) {
        yield found
        continue
      }
      // All that follows is lost: then it must be the same list for everybody who saw it.
      const branch = `${read.key} ${reach} ${read.values[reach]}`
      const other = branches.get(branch)
      if (other !== undefined && !agree(other.read.values, read.values)) {
        yield finding(
          'not-a-prefix',
          `two reads of ${read.key} show other orders of the same lost values`,
          other.operation.id,
          operation.id,
        )
      }
      if (other === undefined || other.read.values.length < read.values.length)
        branches.set(branch, seen)
    }
  }
}

/** The values behind the common beginning: what is wrong with them, unless all of them are lost. */
const judgeRest = (
  { attempts, final }: Facts,
  { operation, read, reach }: Seen,
): Finding | undefined => {
  const { id } = operation
  const rest = read.values.slice(reach)
  const own = new Set(
    operation.steps.flatMap((step) => (step.type === 'append' ? [step.value] : [])),
  )
  for (const value of rest) {
    const attempt = attempts.get(value)
    if (attempt === undefined || attempt.append.key !== read.key)
      return finding('foreign-value', `${read.key} showed ${value}, never appended to it`, id)
    if (attempt.operation.outcome === 'failed' && !own.has(value))
      return finding(
        'aborted-read',
        `${read.key} showed ${value}, reported as not done`,
        id,
        attempt.operation.id,
      )
  }
  const kept = rest.find((value) => {
    const attempt = attempts.get(value)
    if (attempt === undefined) return true
    return attempt.index !== undefined || (attempt.operation.outcome === 'ok' && !attempt.lost)
  })
  if (kept === undefined) return undefined
  return finding(
    'not-a-prefix',
    `${read.key} was read with ${kept} at ${read.values.indexOf(kept)}, the final list has ${final(read.key)[reach] ?? 'nothing'} at ${reach}`,
    id,
  )
}

const agree = (one: readonly number[], other: readonly number[]): boolean => {
  const length = Math.min(one.length, other.length)
  for (let index = 0; index < length; index++) if (one[index] !== other[index]) return false
  return true
}
