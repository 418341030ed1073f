/**
 * Quarantine as a pure function of what happened: a node that failed is left alone for a while,
 * longer each time.
 */
export interface Health {
  /** Failures since the last success. */
  readonly failures: number
  /** The node is left alone until this time, on the clock of `performance.now()`. */
  readonly until: number
  /** Why; `misconfigured` is never answered by another node. */
  readonly cause: 'none' | 'unreachable' | 'misconfigured'
}

export const HEALTHY: Health = Object.freeze({ failures: 0, until: 0, cause: 'none' })

/** How long a node is left alone. */
export interface QuarantineTimes {
  readonly firstMs: number
  readonly longestMs: number
}

/** The health after a failure. @param random - in [0, 1): spreads the returns of many processes */
export const afterFailure = (
  health: Health,
  cause: 'unreachable' | 'misconfigured',
  now: number,
  { firstMs, longestMs }: QuarantineTimes,
  random: number,
): Health => {
  // Calls that were under way together fail together: that is one failure, not many.
  if (now < health.until && health.cause === cause) return health
  const failures = health.failures + 1
  const fullMs = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30))
  return { failures, until: now + fullMs * (0.75 + 0.5 * random), cause }
}

/** Whether the node is left alone at this time. */
export const isQuarantined = (health: Health, now: number): boolean => now < health.until
