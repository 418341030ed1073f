import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RetryBudget } from '../../src/routing/retry-budget.ts'

const LIMITS = { share: 0.1, perSecond: 10 }

/** What happens: reads that begin with so many in flight, after so many milliseconds, and retries that are asked for. */
const happenings = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 800 }),
    reads: fc.integer({ min: 0, max: 40 }),
    inFlight: fc.integer({ min: 1, max: 30 }),
    retries: fc.integer({ min: 0, max: 60 }),
  }),
  { maxLength: 60 },
)

const play = (
  budget: RetryBudget,
  steps: readonly { afterMs: number; reads: number; inFlight: number; retries: number }[],
): { reads: number; retries: number; burst: number; seconds: number } => {
  const sum = { reads: 0, retries: 0, burst: 0, seconds: 0 }
  let now = 5_000
  for (const { afterMs, reads, inFlight, retries } of steps) {
    now += afterMs
    for (let count = 0; count < reads; count++) budget.began(inFlight, now)
    if (reads > 0) sum.burst = Math.max(sum.burst, inFlight)
    sum.reads += reads
    for (let count = 0; count < retries; count++) if (budget.take(now)) sum.retries += 1
  }
  sum.seconds = (now - 5_000) / 1_000
  return sum
}

test('within ten seconds there are no more retries than reads or time pay for, and one burst', () => {
  fc.assert(
    fc.property(happenings, (steps) => {
      const limited = steps.map((step) => ({ ...step, afterMs: step.afterMs / 5 }))
      const { reads, retries, burst, seconds } = play(new RetryBudget(LIMITS), limited)
      expect(retries).toBeLessThanOrEqual(Math.max(reads * 0.1, seconds * 10) + Math.max(10, burst))
    }),
  )
})

test('over any time retries are bounded by what each ten seconds pay for', () => {
  fc.assert(
    fc.property(happenings, (steps) => {
      const { reads, retries, burst, seconds } = play(new RetryBudget(LIMITS), steps)
      expect(retries).toBeLessThanOrEqual(reads * 0.1 + seconds * 10 + Math.max(10, burst))
    }),
  )
})

test('a quiet process may retry ten times a second, however long it has been failing', () => {
  const budget = new RetryBudget(LIMITS)
  // A busy minute in which everything fails…
  for (let now = 0; now < 60_000; now += 1) {
    budget.began(4, now)
    budget.take(now)
  }
  // …then one read at a time.
  let retries = 0
  for (let now = 60_000; now < 90_000; now += 200) {
    budget.began(1, now)
    if (budget.take(now)) retries += 1
  }
  expect(retries).toBeGreaterThanOrEqual(100)
})
