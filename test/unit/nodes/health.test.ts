import { expect, test } from 'vitest'
import { HEALTHY, isQuarantined, nextHealth } from '../../../src/nodes/health.ts'
import type { Health, HealthEvent } from '../../../src/nodes/health.ts'

const times = { firstMs: 100, longestMs: 1_000, stableMs: 10_000 }
const watched = { ...times, watched: true }
const unwatched = { ...times, watched: false }

/** What becomes of a node to which these things happen, each at its time. */
const after = (
  events: readonly (readonly [number, HealthEvent])[],
  rules = watched,
  from: Health = HEALTHY,
): Health =>
  events.reduce((health, [now, event]) => nextHealth(health, event, now, rules, 0.5), from)

test('one missed probe is nothing, a second in succession is', () => {
  const once = after([[0, 'probe-missed']])
  expect(isQuarantined(once, 0)).toBe(false)
  const answered = after([[0, 'probe-missed'], [1, 'probe-answered'], [2, 'probe-missed']]) // prettier-ignore
  expect(answered.cause).toBe('none')
  const twice = after([[0, 'probe-missed'], [1, 'probe-missed']]) // prettier-ignore
  expect(twice).toMatchObject({ cause: 'unreachable', failures: 1 })
  expect(isQuarantined(twice, 1e9)).toBe(true)
})

test.each(['probe-refused', 'query-failed', 'misconfigured'] as const)(
  'one %s is enough',
  (event) => {
    expect(after([[0, event]]).cause).toBe(
      event === 'misconfigured' ? 'misconfigured' : 'unreachable',
    )
  },
)

test('a server without a free connection is alive', () => {
  expect(after([[0, 'overloaded']])).toBe(HEALTHY)
  expect(after([[0, 'probe-missed'], [1, 'overloaded'], [2, 'probe-missed']]).cause).toBe('none') // prettier-ignore
})

test('two good probes bring it back, not before its time', () => {
  const out = after([[0, 'query-failed']])
  expect(after([[200, 'probe-answered']], watched, out).cause).toBe('unreachable')
  expect(after([[200, 'probe-answered'], [300, 'probe-answered']], watched, out).cause).toBe('none') // prettier-ignore
  const interrupted: [number, HealthEvent][] = [[200, 'probe-answered'], [250, 'probe-missed'], [300, 'probe-answered']] // prettier-ignore
  expect(after(interrupted, watched, out).cause).toBe('unreachable')
  const early: [number, HealthEvent][] = [[10, 'probe-answered'], [20, 'probe-answered']] // prettier-ignore
  expect(after(early, watched, out).cause).toBe('unreachable')
  expect(after([...early, [100, 'probe-answered']], watched, out).cause).toBe('none')
})

test('a node that was simply down comes back as soon as it answers, however long that took', () => {
  const minute = Array.from({ length: 60 }, (_, s) => [s * 1_000, 'probe-refused'] as const)
  const back = after([...minute, [60_000, 'probe-answered'], [60_100, 'probe-answered']])
  expect(back.cause).toBe('none')
})

test('a node that fails soon after it came back is left alone for longer each time', () => {
  let health = HEALTHY
  let now = 0
  const lengths: number[] = []
  for (let round = 0; round < 6; round++) {
    health = after([[now, 'query-failed']], watched, health)
    lengths.push(health.notBefore - now)
    now = health.notBefore
    health = after([[now, 'probe-answered'], [now, 'probe-answered']], watched, health) // prettier-ignore
    expect(health.cause).toBe('none')
    now += 1_000
  }
  expect(lengths).toEqual([100, 200, 400, 800, 1_000, 1_000])
  const later = after([[now + 20_000, 'query-failed']], watched, health)
  expect(later).toMatchObject({ failures: 1, notBefore: now + 20_100 })
})

test('failures that come in while it is left alone are the same failure', () => {
  const first = after([[0, 'query-failed']])
  expect(after([[50, 'query-failed']], watched, first)).toBe(first)
  expect(after([[50, 'misconfigured']], watched, first).cause).toBe('misconfigured')
})

test('a node that refuses us is asked less and less often', () => {
  const first = after([[0, 'misconfigured']])
  expect(after([[50, 'misconfigured']], watched, first)).toBe(first)
  const second = after([[100, 'misconfigured']], watched, first)
  expect(second).toMatchObject({ failures: 2, notBefore: 300 })
})

test('without a timer the end of its time lets a read try, and an answer ends it', () => {
  const first = after([[0, 'query-failed']], unwatched)
  expect([isQuarantined(first, 99), isQuarantined(first, 100)]).toEqual([true, false])
  const second = after([[100, 'query-failed']], unwatched, first)
  expect([second.failures, second.until]).toEqual([2, 300])
  expect(after([[110, 'query-answered']], unwatched, second).cause).toBe('none')
  expect(after([[110, 'probe-answered']], unwatched, second)).toBe(second)
  expect(after([[300, 'probe-answered']], unwatched, second).cause).toBe('none')
})

test('the time is spread', () => {
  expect(nextHealth(HEALTHY, 'query-failed', 0, unwatched, 0).until).toBe(75)
  expect(nextHealth(HEALTHY, 'query-failed', 0, unwatched, 0.999).until).toBeCloseTo(124.95)
})
