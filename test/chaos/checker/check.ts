import type { History } from '../history.ts'
import { accountOf, checkAccounting, checkAgreement } from './accounting.ts'
import type { Account } from './accounting.ts'
import { gatherFacts } from './facts.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'
import { checkOnePrimary, checkRealTime } from './order.ts'
import { checkPlaces } from './places.ts'
import { checkPrefixes } from './prefixes.ts'
import { checkResources } from './resources.ts'
import { checkSessions } from './sessions.ts'
import { checkDeadlines, checkSurvival } from './survival.ts'

const CHECKS: readonly ((facts: Facts) => Iterable<Finding>)[] = [
  checkAccounting,
  checkAgreement,
  checkPrefixes,
  checkSessions,
  checkRealTime,
  checkOnePrimary,
  checkPlaces,
  checkSurvival,
  checkDeadlines,
  checkResources,
]

export interface Verdict {
  readonly findings: readonly Finding[]
  readonly account: Account
}

/** Decides a history. Pure, and linear but for sorting by time. */
export const check = (history: History): Verdict => {
  const facts = gatherFacts(history)
  return {
    findings: CHECKS.flatMap((one) => [...one(facts)]),
    account: accountOf(facts),
  }
}
