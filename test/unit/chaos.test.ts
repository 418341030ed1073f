import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { mutate } from '../chaos/build.ts'
import { operationsIn } from '../chaos/load.ts'
import { MUTANTS } from '../chaos/mutants.ts'
import { FAULT_KINDS } from '../chaos/nemesis/nemesis.ts'
import { schedule } from '../chaos/nemesis/schedule.ts'

test.each(MUTANTS)(
  'the mutant that $name still finds its places in the library',
  ({ name, changes }) => {
    for (const change of changes)
      expect(mutate(name, change, readFileSync(change.file, 'utf8'))).toContain(change.replace)
  },
)

test('a mutant without its place is an error that says what to do', () => {
  const [change] = MUTANTS[0]!.changes
  expect(() => mutate('x', change!, 'something else')).toThrow(
    /0 times in .*test\/chaos\/mutants\.ts/,
  )
})

test('mutants name faults that exist', () => {
  const names = FAULT_KINDS.map(({ name }) => name)
  for (const { faults = [] } of MUTANTS) expect(names).toEqual(expect.arrayContaining([...faults]))
})

test('the faults of a run are the same for the same seed, and others for another one', () => {
  const plan = (seed: number) => schedule(seed, 120_000, FAULT_KINDS)
  expect(plan(7)).toEqual(plan(7))
  expect(plan(8)).not.toEqual(plan(7))
  expect(plan(7).length).toBeGreaterThan(15)
})

test('at most two faults at once, never two of one server, and some alone', () => {
  const groups = Array.from({ length: 50 }, (_, seed) =>
    schedule(seed, 120_000, FAULT_KINDS),
  ).flat()
  expect(new Set(groups.map(({ faults }) => faults.length))).toEqual(new Set([1, 2]))
  for (const { faults } of groups) {
    const slots = faults.map(({ slot }) => slot)
    expect(new Set(slots).size).toBe(slots.length)
    const alone = faults.filter(({ kind }) =>
      FAULT_KINDS.some(({ name, alone }) => name === kind && alone === true),
    )
    expect(alone.length === 0 || faults.length === 1).toBe(true)
  }
})

test('a call without its end stays open, a half-written last line is no call', () => {
  const line = (fields: object): string =>
    JSON.stringify({ id: 'a', invoked: 1, steps: [], ...fields })
  const text = [
    line({}),
    line({ id: 'b' }),
    line({ outcome: 'ok', returned: 2, steps: [{ type: 'append', lsn: '12n' }] }),
    '{"id":"c","inv',
  ].join('\n')
  expect(operationsIn(text)).toMatchObject([
    { id: 'a', outcome: 'ok', returned: 2, steps: [{ lsn: 12n }] },
    { id: 'b', outcome: 'open', returned: undefined },
  ])
})
