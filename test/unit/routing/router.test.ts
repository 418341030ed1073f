import { expect, test } from 'vitest'
import { roundRobin } from '../../../src/routing/balancers.ts'
import { Router } from '../../../src/routing/router.ts'

class FakeNode {
  readonly weight = 1
  readonly tags: string[] = []
  readonly inFlight = 0
  quarantinedUntil = 0
  wrongServer: string | undefined
  readonly name: string
  readonly role: 'primary' | 'replica'
  constructor(name: string, role: 'primary' | 'replica') {
    this.name = name
    this.role = role
  }
  isQuarantined(now: number): boolean {
    return now < this.quarantinedUntil
  }
}

const setUp = () => {
  const primary = new FakeNode('master', 'primary')
  const replicas = ['r1', 'r2', 'r3'].map((name) => new FakeNode(name, 'replica'))
  const router = new Router({ primary, replicas }, roundRobin())
  const choose = (now = 1, tried: FakeNode[] = [], only?: FakeNode[]) => {
    const choice = router.choose({ now, tried: new Set(tried), ...(only && { only }) })
    return choice && `${choice.node.name}:${choice.reason}`
  }
  return { primary, replicas: replicas as [FakeNode, FakeNode, FakeNode], router, choose }
}

test('each replica in turn', () => {
  const { choose } = setUp()
  expect([choose(), choose(), choose(), choose()]).toEqual([
    'r1:balanced',
    'r2:balanced',
    'r3:balanced',
    'r1:balanced',
  ])
})

test('a failed read goes to the next replica, then to the primary, then nowhere', () => {
  const { choose, replicas, primary } = setUp()
  expect(choose(1, [replicas[0]])).toBe('r2:retry')
  expect(choose(1, replicas)).toBe('master:no-replica')
  expect(choose(1, [...replicas, primary])).toBeUndefined()
})

test('a quarantined replica is left out until its time is over', () => {
  const { choose, replicas, router } = setUp()
  choose()
  replicas[1].quarantinedUntil = 100
  router.invalidate()
  expect([choose(50), choose(50), choose(50)].join()).not.toContain('r2')
  expect([choose(100), choose(100), choose(100)].join()).toContain('r2')
})

test('the last node is never left out', () => {
  const { choose, replicas, primary, router } = setUp()
  for (const node of [...replicas, primary]) node.quarantinedUntil = 100
  router.invalidate()
  expect(choose(50)).toBe('r1:retry')
  expect(choose(50, replicas)).toBe('master:no-replica')
})

test('an override goes nowhere else, quarantine or not', () => {
  const { choose, replicas, primary } = setUp()
  expect(choose(1, [], [primary])).toBe('master:using')
  replicas[0].quarantinedUntil = 100
  expect(choose(50, [], [replicas[0]])).toBe('r1:using')
  expect(choose(50, [replicas[0]], [replicas[0]])).toBeUndefined()
})

test('a wrong server serves nothing, not even as the last one or when it is asked for', () => {
  const { choose, replicas, primary, router } = setUp()
  for (const node of replicas) node.wrongServer = 'other-system'
  router.invalidate()
  expect(choose()).toBe('master:no-replica')
  expect(choose(1, [primary])).toBeUndefined()
  expect(choose(1, [], [replicas[0]])).toBeUndefined()
  replicas[1].wrongServer = undefined
  router.invalidate()
  expect(choose()).toBe('r2:balanced')
})

test('the share is exact and names the replica that would have served', () => {
  const { router } = setUp()
  router.share = 0.25
  const choices = Array.from({ length: 100 }, () => router.choose({ now: 1, tried: new Set() }))
  expect(choices.filter((choice) => choice?.reason === 'balanced')).toHaveLength(25)
  expect(
    choices.filter((choice) => choice?.reason === 'replica-share' && choice.shadow !== undefined),
  ).toHaveLength(75)
  router.share = 0
  expect(router.choose({ now: 1, tried: new Set() })?.node.name).toBe('master')
})
