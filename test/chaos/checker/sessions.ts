import type { Operation, Promised } from '../history.ts'
import type { Facts } from './facts.ts'
import { finding } from './finding.ts'
import type { Finding, FindingKind } from './finding.ts'

/** How far a key must be seen, and who says so. */
interface Mark {
  /** The number of values from the start on. */
  readonly reach: number
  readonly kind: FindingKind
  readonly by: string
}

/** These never take less than what their session has written and seen. */
const KEEPS: ReadonlySet<Promised> = new Set(['session', 'strong'])

/**
 * What a session has written or seen, it never un-sees: its own appends are in its later reads, no
 * list gets shorter, and of a transaction of which it has seen one list it sees the others too.
 */
export function* checkSessions(facts: Facts): Generator<Finding> {
  for (const operations of bySession(facts.history.operations))
    yield* checkSession(facts, operations)
}

const bySession = (operations: readonly Operation[]): Iterable<Operation[]> => {
  const sessions = new Map<string, Operation[]>()
  for (const operation of operations) {
    const known = sessions.get(operation.session)
    if (known === undefined) sessions.set(operation.session, [operation])
    else known.push(operation)
  }
  for (const list of sessions.values()) list.sort((a, b) => a.invoked - b.invoked)
  return sessions.values()
}

function* checkSession(facts: Facts, operations: readonly Operation[]): Generator<Finding> {
  const marks = new Map<string, Mark>()
  const raise = (key: string, reach: number, kind: FindingKind, by: string): void => {
    if (reach > (marks.get(key)?.reach ?? 0)) marks.set(key, { reach, kind, by })
  }
  /** How much of each key has been searched for transactions already. */
  const searched = new Map<string, number>()
  for (const operation of operations) {
    if (operation.outcome !== 'ok' || operation.promised === 'process') continue
    const reads = facts.seen.get(operation) ?? []
    if (KEEPS.has(operation.promised)) {
      for (const { read, reach } of reads) {
        const mark = marks.get(read.key)
        if (mark !== undefined && reach < mark.reach)
          yield finding(mark.kind, describe(read.key, reach, mark), mark.by, operation.id)
      }
    }
    for (const step of operation.steps) {
      if (step.type !== 'append') continue
      const index = facts.attempts.get(step.value)?.index
      if (index !== undefined) raise(step.key, index + 1, 'read-your-writes', operation.id)
    }
    // A read that promises nothing binds nobody.
    if (operation.promised === 'eventual') continue
    for (const { read, reach } of reads) {
      raise(read.key, reach, 'non-monotonic-read', operation.id)
      for (let index = searched.get(read.key) ?? 0; index < reach; index++) {
        const seen = facts.attempts.get(read.values[index]!)
        if (seen === undefined || seen.operation.steps.length < 2) continue
        for (const step of seen.operation.steps) {
          const place = step.type === 'append' ? facts.attempts.get(step.value)?.index : undefined
          if (place !== undefined) raise(step.key, place + 1, 'fractured-read', operation.id)
        }
      }
      searched.set(read.key, Math.max(searched.get(read.key) ?? 0, reach))
    }
  }
}

const describe = (key: string, reach: number, mark: Mark): string =>
  `${key} was read with ${reach} of the values that stay, after the session had ${WORDS[mark.kind] ?? 'seen'} ${mark.reach}`

const WORDS: Partial<Record<FindingKind, string>> = {
  'read-your-writes': 'written up to',
  'non-monotonic-read': 'read',
  'fractured-read': 'seen a transaction that reached',
}
