import fc from 'fast-check'
import { expect, test } from 'vitest'
import { endOfRecords, formatLsn, laterOf, parseLsn } from '../../../src/nodes/position.ts'

test('reads and writes what PostgreSQL says', () => {
  expect(parseLsn('16/B374D848')).toBe(0x16_b374_d848n)
  expect(formatLsn(0x16_b374_d848n)).toBe('16/B374D848')
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (lsn) => parseLsn(formatLsn(lsn)) === lsn,
    ),
  )
  for (const text of [null, undefined, '', '1', '1/', '/1', '1/123456789', 'x/1', "1/1'"]) {
    expect(parseLsn(text)).toBeUndefined()
  }
})

test('the header of a page or a segment is taken off, 40 on another page is a real position', () => {
  const segment = 16n * 1024n * 1024n
  expect(endOfRecords(segment * 3n + 40n, segment)).toBe(segment * 3n)
  expect(endOfRecords(segment * 3n + 8192n + 24n, segment)).toBe(segment * 3n + 8192n)
  expect(endOfRecords(segment * 3n + 8192n + 40n, segment)).toBe(segment * 3n + 8192n + 40n)
  expect(endOfRecords(segment * 3n + 1000n, segment)).toBe(segment * 3n + 1000n)
})

test('the later position wins, a newer timeline over any number', () => {
  const at = (timeline: number, lsn: bigint) => ({ systemIdentifier: '1', timeline, lsn })
  expect(laterOf(undefined, at(1, 5n))).toEqual(at(1, 5n))
  expect(laterOf(at(1, 5n), at(1, 4n))).toEqual(at(1, 5n))
  expect(laterOf(at(1, 5n), at(1, 6n))).toEqual(at(1, 6n))
  expect(laterOf(at(1, 9n), at(2, 3n))).toEqual(at(2, 3n))
  expect(laterOf(at(2, 3n), at(1, 9n))).toEqual(at(2, 3n))
})
