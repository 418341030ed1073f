import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatLsn } from '../../src/nodes/position.ts'
import type { Position } from '../../src/nodes/position.ts'
import { containment, parseTimelineHistory } from '../../src/nodes/timeline-history.ts'
import { readToken, signToken, tokenProblem } from '../../src/routing/token.ts'

const KEYS = [
  { id: 'k1', secret: 'a secret of the tests' },
  { id: 'k2', secret: 'the secret before that' },
]
const lsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const timeline = fc.integer({ min: 1, max: 0xffff_ffff })
const position = fc.record({
  systemIdentifier: fc.option(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String), {
    nil: undefined,
  }),
  timeline,
  lsn,
})
const content = fc.record({ position, issuedAt: fc.integer({ min: 0, max: 10 ** 11 }) })

test('a token says what was signed', () => {
  fc.assert(
    fc.property(content, fc.constantFrom(...KEYS), (what, key) => {
      expect(readToken(signToken(what, key), KEYS)).toEqual(what)
    }),
    { numRuns: 2_000 },
  )
})

test('a token with any bit of it flipped is none', () => {
  let flips = 0
  fc.assert(
    fc.property(content, fc.constantFrom(...KEYS), (what, key) => {
      const bytes = Buffer.from(signToken(what, key), 'latin1')
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        if (readToken(bytes.toString('latin1'), KEYS) !== undefined) return false
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        flips++
      }
      return true
    }),
    { numRuns: 150 },
  )
  expect(flips).toBeGreaterThan(50_000)
})

test('what is no token of ours is none: anything, anything in the form of one, anything around one', () => {
  const real = signToken(
    { position: { systemIdentifier: '1', timeline: 1, lsn: 1n }, issuedAt: 1 },
    KEYS[0]!,
  )
  const alike = fc.stringMatching(
    /^s1\.k[12]\.\d{0,20}\.[0-9a-f]{1,8}\.[0-9A-F]{1,8}-[0-9A-F]{1,8}\.[0-9a-z]{1,9}\.[A-Za-z0-9_-]{22}$/,
  )
  const around = fc
    .tuple(fc.string(), fc.string())
    .filter(([a, b]) => a + b !== '')
    .map(([a, b]) => a + real + b)
  fc.assert(
    fc.property(
      fc.oneof(fc.anything(), fc.string(), alike, around),
      (value) => readToken(value, KEYS) === undefined,
    ),
    { numRuns: 10_000 },
  )
  for (const text of [
    `${real}\r\n`,
    `\r\nSet-Cookie: a=b\r\n${real}`,
    real.repeat(100_000),
    'x'.repeat(10_000_000),
  ]) {
    expect(readToken(text, KEYS)).toBeUndefined()
  }
})

test('what the primary has not reached, is of another cluster, or out of its time is refused', () => {
  const times = fc.record({ nowMs: fc.integer({ min: 0, max: 10 ** 14 }), maxAgeMs: fc.nat() })
  fc.assert(
    fc.property(
      content,
      fc.option(position, { nil: undefined }),
      times,
      (what, present, { nowMs, maxAgeMs }) => {
        const problem = tokenProblem(what, { nowMs, maxAgeMs, present })
        if (problem !== undefined) return
        const ageMs = nowMs - what.issuedAt * 1_000
        expect(ageMs).toBeLessThanOrEqual(maxAgeMs + 300_000)
        expect(ageMs).toBeGreaterThanOrEqual(-300_000)
        if (present?.timeline === what.position.timeline) {
          expect(what.position.lsn <= present.lsn).toBe(true)
        }
      },
    ),
    { numRuns: 10_000 },
  )
})

/** A history of timelines that follow one another, and how far the last one has come. */
const history = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1_000 })), {
    minLength: 1,
    maxLength: 8,
  })
  .map((steps) => {
    let [at, reached] = [0, 0n]
    const ends = steps.map(([step, length]) => {
      at += step
      reached += BigInt(length)
      return { timeline: at, end: reached }
    })
    const present: Position = { systemIdentifier: '1', timeline: at + 1, lsn: reached + 500n }
    return { ends, present }
  })

test('a position is in a history exactly up to where its timeline ended', () => {
  fc.assert(
    fc.property(
      history,
      fc.nat(),
      fc.bigInt({ min: -3n, max: 3n }),
      ({ ends, present }, index, offset) => {
        const { timeline: of, end } = ends[index % ends.length]!
        const at = { systemIdentifier: '1', timeline: of, lsn: end + offset }
        expect(containment(at, present, ends)).toBe(offset <= 0n ? 'contained' : 'lost')
        expect(containment(at, present, undefined)).toBe('unknown')
        expect(containment({ ...at, systemIdentifier: '2' }, present, ends)).toBe('lost')
        expect(containment({ ...at, lsn: present.lsn + 1n }, present, undefined)).toBe('lost')
        expect(containment({ ...present, timeline: present.timeline + 1 }, present, ends)).toBe(
          'lost',
        )
      },
    ),
    { numRuns: 3_000 },
  )
})

test('a history file is read as PostgreSQL writes it, and anything else is none or nothing', () => {
  fc.assert(
    fc.property(history, ({ ends }) => {
      const file = ends.map(
        ({ timeline: of, end }) => `${of}\t${formatLsn(end)}\tno recovery target specified\n`,
      )
      expect(parseTimelineHistory(['# a comment\n', '\n', ...file].join(''))).toEqual(ends)
      if (ends.length > 1) expect(parseTimelineHistory(file.toReversed().join(''))).toBeUndefined()
    }),
  )
  expect(parseTimelineHistory('')).toEqual([])
  for (const text of ['1', '1\tx', 'x\t0/1', '1 0/1\n1 0/2', '0\t0/1']) {
    expect(parseTimelineHistory(text)).toBeUndefined()
  }
  fc.assert(fc.property(fc.string(), (text) => void parseTimelineHistory(text)))
})
