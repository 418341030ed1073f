import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HEALTH_EVENTS, HEALTHY, isQuarantined, nextHealth } from '../../src/nodes/health.ts'
import type { Health, HealthEvent } from '../../src/nodes/health.ts'

const rulesOf = (watched: boolean) => ({
  firstMs: 500,
  longestMs: 30_000,
  stableMs: 60_000,
  watched,
})

interface Happened {
  readonly afterMs: number
  readonly event: HealthEvent
  readonly random: number
}

const history: fc.Arbitrary<Happened[]> = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 5_000 }),
    event: fc.constantFrom<HealthEvent>(...HEALTH_EVENTS),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
  }),
  { maxLength: 60 },
)

interface Step {
  readonly before: Health
  readonly after: Health
  readonly event: HealthEvent
  readonly now: number
}

const run = (events: readonly Happened[], watched: boolean): Step[] => {
  let [health, now] = [HEALTHY, 0]
  return events.map(({ afterMs, event, random }) => {
    now += afterMs
    const before = health
    health = nextHealth(before, event, now, rulesOf(watched), random)
    return { before, after: health, event, now }
  })
}

const GOOD: ReadonlySet<HealthEvent> = new Set(['probe-answered', 'query-answered'])

test('nothing good ever takes a node out, nothing bad ever brings it back', () => {
  fc.assert(
    fc.property(history, fc.boolean(), (events, watched) => {
      for (const { before, after, event } of run(events, watched)) {
        if (before.cause === 'none' && after.cause !== 'none') expect(GOOD.has(event)).toBe(false)
        if (before.cause !== 'none' && after.cause === 'none') expect(GOOD.has(event)).toBe(true)
      }
    }),
  )
})

test('the time in which it is left alone has limits', () => {
  fc.assert(
    fc.property(history, fc.boolean(), (events, watched) => {
      for (const { before, after, now } of run(events, watched)) {
        if (after.notBefore === before.notBefore || after.cause === 'none') continue
        expect(after.notBefore - now).toBeGreaterThanOrEqual(375)
        expect(after.notBefore - now).toBeLessThanOrEqual(37_500)
      }
    }),
  )
})

test('whatever has happened, a node that answers comes back within its time', () => {
  fc.assert(
    fc.property(history, fc.boolean(), (events, watched) => {
      const last = run(events, watched).at(-1)
      let health = last?.after ?? HEALTHY
      let now = Math.max(last?.now ?? 0, health.notBefore)
      for (let probe = 0; probe < 2; probe++)
        health = nextHealth(health, 'probe-answered', (now += 100), rulesOf(watched), 0)
      expect(isQuarantined(health, now)).toBe(false)
      expect(health.cause).toBe('none')
    }),
  )
})

test('with a timer a healthy node goes after one refusal or two misses, and never for less', () => {
  fc.assert(
    fc.property(history, (events) => {
      const steps = run(events, true)
      steps.forEach(({ before, after, event }, index) => {
        if (before.cause !== 'none' || after.cause === 'none' || event !== 'probe-missed') return
        // Looking back from it, the last thing that says anything is another miss.
        expect(steps[index - 1]?.event).toBe('probe-missed')
      })
    }),
  )
})
