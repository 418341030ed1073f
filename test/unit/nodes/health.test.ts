import { expect, test } from 'vitest'
import { afterFailure, HEALTHY, isQuarantined } from '../../../src/nodes/health.ts'

const times = { firstMs: 100, longestMs: 1_000 }
const fail = (health = HEALTHY, now = 0, cause: 'unreachable' | 'misconfigured' = 'unreachable') =>
  afterFailure(health, cause, now, times, 0.5)

test('each failure leaves the node alone for longer, up to the limit', () => {
  let health = HEALTHY
  const lengths: number[] = []
  for (let round = 0; round < 6; round++) {
    const now = health.until
    health = fail(health, now)
    lengths.push(health.until - now)
  }
  expect(lengths).toEqual([100, 200, 400, 800, 1_000, 1_000])
})

test('failures that come in during the quarantine are the same failure', () => {
  const first = fail()
  expect(fail(first, 50)).toBe(first)
  expect(fail(first, 100).failures).toBe(2)
  expect(fail(first, 50, 'misconfigured').cause).toBe('misconfigured')
})

test('the time is spread and ends by itself', () => {
  expect(afterFailure(HEALTHY, 'unreachable', 0, times, 0).until).toBe(75)
  expect(afterFailure(HEALTHY, 'unreachable', 0, times, 0.999).until).toBeCloseTo(124.95)
  expect(isQuarantined(fail(), 99)).toBe(true)
  expect(isQuarantined(fail(), 100)).toBe(false)
  expect(isQuarantined(HEALTHY, 0)).toBe(false)
})
