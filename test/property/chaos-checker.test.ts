import fc from 'fast-check'
import { expect, test } from 'vitest'
import { check } from '../chaos/checker/check.ts'
import { FINDINGS } from '../chaos/checker/finding.ts'
import { validHistory } from '../chaos/checker/generate.ts'
import { PLANTED } from '../chaos/checker/planted.ts'
import { seeded } from '../chaos/random.ts'

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const kindsIn = (history: Parameters<typeof check>[0]): string[] => [
  ...new Set(check(history).findings.map(({ kind }) => kind)),
]

test('what a right library leaves behind gives no findings, with and without a failover', () => {
  fc.assert(
    fc.property(seeds, fc.boolean(), (seed, failover) => {
      const { findings, account } = check(validHistory(seed, { failover }))
      expect(findings).toEqual([])
      expect(account.attempted).toBe(
        account.acked + account.failed + account.unknown + account.open,
      )
    }),
    { numRuns: 100 },
  )
})

test.each(PLANTED)('found and named $kind: $name', ({ kind, plant }) => {
  let planted = 0
  fc.assert(
    fc.property(seeds, fc.boolean(), (seed, failover) => {
      const wrong = plant(validHistory(seed, { failover }), seeded(seed))
      if (wrong === undefined) return
      planted++
      expect(kindsIn(wrong)).toContain(kind)
    }),
    { numRuns: 40 },
  )
  expect(planted).toBeGreaterThan(20)
})

test('each finding has been planted', () => {
  expect([...new Set(PLANTED.map(({ kind }) => kind))].toSorted()).toEqual([...FINDINGS].toSorted())
})

test('a failover may lose what committed behind the point where the histories part, nothing else', () => {
  const runs = fc.sample(seeds, 50).map((seed) => validHistory(seed, { failover: true }))
  const lost = runs.filter((history) => check(history).account.lost > 0)
  expect(lost.length).toBeGreaterThan(10)
  for (const history of lost) {
    // The same losses, but the old timeline is said to have gone on until after them.
    const branches = history.branches.map((branch) => ({ ...branch, end: branch.end + 1_000_000n }))
    const samples = [...history.samples, { at: 1e9, timeline: 1, lsn: 0n }]
    expect(kindsIn({ ...history, branches, samples })).toContain('acked-lost')
  }
})

test('a read that said that it is stale is no finding', () => {
  const history = validHistory(7)
  const stale = history.operations.map((operation) =>
    operation.promised === 'process'
      ? {
          ...operation,
          isStale: true,
          steps: operation.steps.map((step) =>
            step.type === 'read' ? { ...step, values: [] } : step,
          ),
        }
      : operation,
  )
  expect(check({ ...history, operations: stale }).findings).toEqual([])
})
