import type { Outcome } from '../history.ts'
import type { Facts } from './facts.ts'
import { finding } from './finding.ts'
import type { Finding } from './finding.ts'

/** What became of all attempted appends: attempted = acked + failed + unknown + open. */
export interface Account {
  readonly attempted: number
  readonly acked: number
  readonly failed: number
  readonly unknown: number
  readonly open: number
  /** Acknowledged, and lost with the end of a timeline. */
  readonly lost: number
  /** Unknown or open ones that were applied. */
  readonly applied: number
}

export const accountOf = ({ attempts }: Facts): Account => {
  const counts: Record<Outcome, number> = { ok: 0, failed: 0, unknown: 0, open: 0 }
  let [lost, applied] = [0, 0]
  for (const { operation, index, lost: isLost } of attempts.values()) {
    counts[operation.outcome]++
    if (isLost) lost++
    if (index !== undefined && (operation.outcome === 'unknown' || operation.outcome === 'open'))
      applied++
  }
  const { ok: acked, failed, unknown, open } = counts
  return { attempted: attempts.size, acked, failed, unknown, open, lost, applied }
}

/** Acknowledged writes are there once, failed ones are not there, and nothing else is. */
export function* checkAccounting({ history, attempts }: Facts): Generator<Finding> {
  for (const { operation, append, index, lost } of attempts.values()) {
    const { key, value } = append
    if (operation.outcome === 'ok' && index === undefined && !lost) {
      yield finding(
        'acked-lost',
        `${value} was acknowledged and is not in the final list of ${key}`,
        operation.id,
      )
    }
    if (operation.outcome === 'failed' && index !== undefined) {
      yield finding(
        'failed-applied',
        `${value} was reported as not done (${operation.error}) and is in the final list of ${key}`,
        operation.id,
      )
    }
  }
  const places = new Map<number, string>()
  for (const [key, list] of history.final.get(history.primary) ?? []) {
    for (const value of list) {
      const attempt = attempts.get(value)
      const id = attempt?.operation.id ?? ''
      if (attempt === undefined || attempt.append.key !== key)
        yield finding('foreign-value', `${value} in ${key} was never appended there`, id)
      if (places.has(value))
        yield finding(
          'duplicate',
          `${value} was appended once and is in ${places.get(value)} and again in ${key}`,
          id,
        )
      places.set(value, key)
    }
  }
}

/** When all is over, all nodes hold the same. */
export function* checkAgreement({ history }: Facts): Generator<Finding> {
  const truth = history.final.get(history.primary)
  for (const [node, lists] of history.final) {
    for (const key of new Set([...(truth?.keys() ?? []), ...lists.keys()])) {
      const [here, there] = [lists.get(key) ?? [], truth?.get(key) ?? []]
      if (here.length === there.length && here.every((value, index) => value === there[index]))
        continue
      yield finding(
        'replicas-differ',
        `${node} and ${history.primary} end with other lists: ${key}`,
      )
      break
    }
  }
}
