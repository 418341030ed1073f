import { expect, test } from 'vitest'
import { createBalancer, leastBusy, roundRobin, weighted } from '../../../src/routing/balancers.ts'

const node = (name: string, weight = 1, inFlight = 0) => ({ name, weight, tags: [], inFlight })
const [a, b, c] = [node('a', 3), node('b', 1), node('c', 1)]
const all = () => true
const sequence = (
  balancer: ReturnType<typeof roundRobin>,
  times: number,
  accepts: (n: { name: string }) => boolean = all,
) => Array.from({ length: times }, () => balancer([a, b, c], accepts)?.name).join('')

test('round robin takes each in turn, skips what is not accepted and goes on after it', () => {
  expect(sequence(roundRobin(), 7)).toBe('abcabca')
  expect(sequence(roundRobin(), 4, ({ name }) => name !== 'b')).toBe('acac')
  expect(roundRobin()([a, b], () => false)).toBeUndefined()
  expect(roundRobin()([], all)).toBeUndefined()
})

test('weighted spreads evenly by weight', () => {
  const order = sequence(weighted(), 10)
  expect(order).toBe('abacaabaca')
  expect(order.split('').filter((name) => name === 'a')).toHaveLength(6)
})

test('least busy takes the less busy of two different ones', () => {
  const busy = [node('busy', 1, 9), node('idle', 1, 0)]
  for (const random of [0, 0.3, 0.6, 0.99])
    expect(leastBusy(() => random)(busy, all)?.name).toBe('idle')
  expect(leastBusy(() => 0.5)([a], all)).toBe(a)
  expect(leastBusy(() => 0.5)([a], () => false)).toBeUndefined()
})

test('a function of the application chooses among the accepted; an unknown answer is no choice', () => {
  const last = createBalancer((candidates) => candidates.at(-1)!)
  expect(last([a, b, c], ({ name }) => name !== 'c')).toBe(b)
  expect(createBalancer(() => node('x'))([a, b], all)).toBe(a)
  expect(createBalancer(() => { throw new Error('must not be asked') })([a], () => false)).toBeUndefined() // prettier-ignore
})
