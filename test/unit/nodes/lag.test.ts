import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LagBook } from '../../../src/nodes/lag.ts'

test('where the primary stood when', () => {
  const book = new LagBook<string>()
  expect(book.atMostMs('r', 0)).toBeUndefined()
  expect(book.lag('r', 0)).toBeUndefined()
  book.recordPrimary(1_000, 100n)
  book.recordPrimary(2_000, 200n)
  book.recordReplica('r', 150n, 2_100)
  expect(book.atMostMs('r', 2_500)).toBe(1_500)
  expect(book.lag('r', 2_500)).toEqual({ bytes: 50, ms: 1_500 })
  book.recordReplica('r', 200n, 2_400)
  expect(book.lag('r', 2_500)).toEqual({ bytes: 0, ms: 0 })
  // What is certain is less: the primary may have gone on since it was asked.
  expect(book.atMostMs('r', 2_500)).toBe(500)
  // An older answer that comes late takes nothing back.
  book.recordReplica('r', 100n, 2_300)
  expect(book.lag('r', 2_500)).toEqual({ bytes: 0, ms: 0 })
})

test('an idle primary makes nobody late', () => {
  const book = new LagBook<string>()
  book.recordReplica('r', 100n, 0)
  for (let at = 10; at <= 600_000; at += 1_000) book.recordPrimary(at, 100n)
  expect(book.lag('r', 600_000)).toEqual({ bytes: 0, ms: 0 })
  expect(book.atMostMs('r', 600_000)).toBeLessThan(1_000)
})

test('a replica that stands still falls behind when the primary goes on, also when it says nothing more', () => {
  const book = new LagBook<string>()
  book.recordPrimary(0, 100n)
  book.recordReplica('paused', 100n, 10)
  book.recordReplica('silent', 100n, 10)
  for (let second = 1; second <= 20; second++) {
    book.recordPrimary(second * 1_000, 100n + BigInt(second) * 1_000n)
    book.recordReplica('paused', 100n, second * 1_000 + 10)
  }
  expect(book.lag('paused', 20_500)).toEqual({ bytes: 20_000, ms: 20_500 })
  // The last seconds are not held against it: it has not been asked since.
  expect(book.lag('silent', 20_500)).toEqual({ bytes: 18_000, ms: 20_500 })
})

test('what the primary writes after a replica was asked is no lag', () => {
  const book = new LagBook<string>()
  book.recordPrimary(0, 100n)
  book.recordReplica('r', 100n, 500)
  book.recordPrimary(1_000, 9_000n)
  expect(book.lag('r', 1_100)).toEqual({ bytes: 0, ms: 0 })
})

test('a replica that was behind from the beginning is behind for an unknown time', () => {
  const book = new LagBook<string>()
  book.recordPrimary(1_000, 500n)
  book.recordReplica('r', 100n, 1_100)
  expect(book.lag('r', 2_000)).toEqual({ bytes: 400, ms: undefined })
  expect(book.atMostMs('r', 2_000)).toBeUndefined()
})

test('restarted, gone, or in another history: nothing is known', () => {
  const book = new LagBook<string>()
  const begin = (): void => {
    book.recordPrimary(0, 100n)
    book.recordReplica('r', 100n, 10)
  }
  begin()
  book.forget('r')
  expect(book.lag('r', 20)).toBeUndefined()
  begin()
  book.clear()
  expect(book.lag('r', 20)).toBeUndefined()
  begin()
  // The position of another primary that is not as far.
  book.recordPrimary(1_000, 50n)
  expect(book.lag('r', 1_000)).toBeUndefined()
})

test('a primary that is silent proves nothing for ever', () => {
  const book = new LagBook<string>()
  book.recordPrimary(0, 100n)
  book.recordReplica('r', 100n, 10)
  expect(book.lag('r', 60_000)).toEqual({ bytes: 0, ms: 60_000 })
})

test('what a replica has of all that is known of the primary', () => {
  const book = new LagBook<string>()
  expect(book.hasAllKnown('a')).toBe(false)
  book.recordReplica('a', 5n, 0)
  // Nothing is known of the primary.
  expect(book.hasAllKnown('a')).toBe(true)
  book.recordPrimary(1, 6n)
  expect(book.hasAllKnown('a')).toBe(false)
  book.recordReplica('a', 6n, 2)
  expect(book.hasAllKnown('a')).toBe(true)
  book.forget('a')
  expect(book.hasAllKnown('a')).toBe(false)
})

test('an hour of delay is still told, with few samples', () => {
  const book = new LagBook<string>()
  for (let second = 0; second < 7_200; second++) book.recordPrimary(second * 1_000, BigInt(second))
  book.recordReplica('r', 3_600n, 7_200_000)
  const ms = book.atMostMs('r', 7_200_000)!
  expect(ms).toBeGreaterThanOrEqual(3_600_000)
  expect(ms).toBeLessThan(3_900_000)
})

test('never less than the truth', () => {
  const steps = fc.array(
    fc.record({ wal: fc.integer({ min: 0, max: 50 }), ms: fc.integer({ min: 1, max: 2_000 }) }),
    { minLength: 1, maxLength: 300 },
  )
  fc.assert(
    fc.property(steps, fc.double({ min: 0, max: 1, noNaN: true }), (history, part) => {
      const book = new LagBook<string>()
      const positions: { at: number; lsn: bigint }[] = []
      let [now, lsn] = [0, 1_000n]
      for (const { wal, ms } of history) {
        now += ms
        lsn += BigInt(wal)
        positions.push({ at: now, lsn })
        book.recordPrimary(now, lsn)
      }
      const replica = positions[Math.floor(part * (positions.length - 1))]!.lsn
      book.recordReplica('r', replica, now)
      const fresh = positions.findLast((each) => each.lsn <= replica)!
      expect(book.atMostMs('r', now)).toBeGreaterThanOrEqual(now - fresh.at)
    }),
  )
})
