import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RetryBudget } from '../../src/routing/retry-budget.ts'

const LIMITS = { share: 0.1, perSecond: 10 }

/** Reads that come at these distances in time, each of which is retried for as long as that is allowed. */
const retriesOf = (
  gaps: readonly number[],
  inFlight: number,
): { retries: number; seconds: number } => {
  const budget = new RetryBudget(LIMITS)
  let [now, retries] = [0, 0]
  for (const gap of gaps) {
    now += gap
    budget.began(inFlight, now)
    while (budget.take(now)) retries++
  }
  return { retries, seconds: now / 1_000 }
}

test('however many reads fail, retries are a share of them beyond one burst', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(100), { minLength: 1, maxLength: 500 }),
      fc.integer({ min: 1, max: 50 }),
      (gaps, inFlight) => {
        const { retries, seconds } = retriesOf(gaps, inFlight)
        const burst = Math.max(LIMITS.perSecond, inFlight)
        const earned = LIMITS.share * gaps.length + LIMITS.perSecond * seconds
        expect(retries).toBeLessThanOrEqual(burst + earned)
      },
    ),
  )
})

test('at 1,000 reads a second with all of them failing there are 1.1 attempts for each', () => {
  const { retries } = retriesOf(
    Array.from({ length: 10_000 }, () => 1),
    5,
  )
  expect((10_000 + retries) / 10_000).toBeLessThanOrEqual(1.1 + 10 / 10_000)
  expect(retries).toBeGreaterThan(990)
})

test('all that was in flight on one node may be retried at once, also after a quiet time', () => {
  const budget = new RetryBudget(LIMITS)
  for (let inFlight = 1; inFlight <= 300; inFlight++) budget.began(inFlight, 0)
  for (let each = 0; each < 300; each++) expect(budget.take(5)).toBe(true)
  expect(budget.take(5)).toBe(false)
  const quiet = new RetryBudget(LIMITS)
  for (let each = 0; each < 10; each++) expect(quiet.take(1_000_000)).toBe(true)
  expect(quiet.take(1_000_000)).toBe(false)
  expect(quiet.take(1_000_101)).toBe(true)
})
