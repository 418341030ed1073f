/**
 * What is known of a node's health, as a pure function of what happened to it: a node that failed is
 * left alone for a while, longer when it fails again soon after it came back.
 */
export interface Health {
  /** Why it is left alone; `misconfigured` is never answered by another node. */
  readonly cause: 'none' | 'unreachable' | 'misconfigured'
  /** How often in succession it has been left alone; kept while it is back, since it may fail again soon. */
  readonly failures: number
  /** It is left alone until this time, on the clock of `performance.now()`; infinite: until probes say that it is back. */
  readonly until: number
  /** It does not come back before this time, whatever probes say. */
  readonly notBefore: number
  /** Probes missed in succession. */
  readonly missed: number
  /** Probes answered in succession while it is left alone. */
  readonly good: number
  /** When it came back last. */
  readonly returnedAt: number
}

export const HEALTHY: Health = Object.freeze({
  cause: 'none',
  failures: 0,
  until: 0,
  notBefore: 0,
  missed: 0,
  good: 0,
  returnedAt: -Infinity,
})

/**
 * What can happen to a node.
 *
 * - `probe-missed`: no answer in time
 * - `probe-refused`: a connection refused or lost, or a server that starts or stops
 * - `query-failed`: a real statement or its connection, for a reason that says nothing about it
 * - `misconfigured`: credentials, database or TLS refused
 * - `overloaded`: too many connections; the server is alive
 */
export const HEALTH_EVENTS = [
  'probe-answered',
  'probe-missed',
  'probe-refused',
  'query-answered',
  'query-failed',
  'misconfigured',
  'overloaded',
] as const
export type HealthEvent = (typeof HEALTH_EVENTS)[number]

/** What the function goes by. */
export interface HealthRules {
  /** How long a node is left alone at least, the first time and at most. */
  readonly firstMs: number
  readonly longestMs: number
  /** A node that fails within this time after it came back is left alone for longer than before. */
  readonly stableMs: number
  /** Probes on a timer bring a node back; else the end of its time does, and the next read finds out. */
  readonly watched: boolean
}

/** Missed probes in succession until a node is left alone: one may be lost in a network, or to a busy server. */
const MISSES = 2
/** Answered probes in succession until it is back. */
const ANSWERS = 2

/** @param random - in [0, 1): spreads the returns of many processes */
export const nextHealth = (
  health: Health,
  event: HealthEvent,
  now: number,
  rules: HealthRules,
  random: number,
): Health => {
  switch (event) {
    case 'overloaded':
      return health.missed === 0 ? health : { ...health, missed: 0 }
    case 'probe-answered':
    case 'query-answered':
      return health.cause === 'none' ? forgetMisses(health) : better(health, event, now, rules)
    case 'probe-missed':
      if (health.cause !== 'none') return forgetAnswers(health)
      return health.missed + 1 < MISSES
        ? { ...health, missed: health.missed + 1 }
        : leaveAlone(health, 'unreachable', now, rules, random)
    case 'probe-refused':
    case 'query-failed':
      return failed(health, 'unreachable', now, rules, random)
    case 'misconfigured':
      return failed(health, 'misconfigured', now, rules, random)
    default:
      return event satisfies never
  }
}

/** Whether the node is left alone at this time. */
export const isQuarantined = (health: Health, now: number): boolean => now < health.until

const forgetMisses = (health: Health): Health =>
  health.missed === 0 ? health : { ...health, missed: 0 }

const forgetAnswers = (health: Health): Health =>
  health.good === 0 ? health : { ...health, good: 0 }

const better = (health: Health, event: HealthEvent, now: number, rules: HealthRules): Health => {
  const { failures } = health
  const back = (): Health => ({ ...HEALTHY, failures, returnedAt: now })
  if (!rules.watched) {
    // A statement that was answered says more than the time that is left.
    return event === 'query-answered' || now >= health.notBefore ? back() : health
  }
  const good = Math.min(ANSWERS, health.good + 1)
  if (good === ANSWERS && now >= health.notBefore) return back()
  return good === health.good ? health : { ...health, good }
}

const failed = (
  health: Health,
  cause: 'unreachable' | 'misconfigured',
  now: number,
  rules: HealthRules,
  random: number,
): Health => {
  if (health.cause !== cause) return leaveAlone(health, cause, now, rules, random)
  // Calls that were under way together fail together: that is one failure, not many.
  if (now < health.notBefore) return forgetAnswers(health)
  // A node that is down comes back as soon as it answers, however long it was down. One that refuses
  // us is asked less and less often: each time is a failed login.
  if (rules.watched && cause === 'unreachable') return forgetAnswers(health)
  return leaveAlone(health, cause, now, rules, random)
}

const leaveAlone = (
  health: Health,
  cause: 'unreachable' | 'misconfigured',
  now: number,
  { firstMs, longestMs, stableMs, watched }: HealthRules,
  random: number,
): Health => {
  const again = health.cause !== 'none' || now - health.returnedAt < stableMs
  const failures = again ? health.failures + 1 : 1
  const fullMs = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30))
  const notBefore = now + fullMs * (0.75 + 0.5 * random)
  return { ...HEALTHY, cause, failures, notBefore, until: watched ? Infinity : notBefore }
}
