import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readToken, signToken, TOKEN_MAX_LENGTH } from '../../../src/routing/token.ts'

const key = { id: 'k1', secret: 'a secret of the tests' }
const content = {
  position: { systemIdentifier: '7512345678901234567', timeline: 3, lsn: 0x16_b374_d848n },
  issuedAt: 1_790_000_000,
}
const token = signToken(content, key)

test('says what was signed, in at most 128 visible ASCII characters', () => {
  expect(readToken(token, [key])).toEqual(content)
  const longest = {
    position: {
      systemIdentifier: '18446744073709551615',
      timeline: 0xffff_ffff,
      lsn: 2n ** 64n - 1n,
    },
    issuedAt: 10 ** 13,
  }
  const text = signToken(longest, { ...key, id: 'abcdefgh' })
  expect(text).toMatch(/^[\x21-\x7e]+$/)
  expect(text.length).toBeLessThanOrEqual(TOKEN_MAX_LENGTH)
  expect(readToken(text, [{ ...key, id: 'abcdefgh' }])).toEqual(longest)
})

test('keys can be rotated, and an unknown or another key is none', () => {
  const next = { id: 'k2', secret: 'the next secret of the tests' }
  expect(readToken(token, [next, key])).toEqual(content)
  expect(readToken(token, [next])).toBeUndefined()
  expect(readToken(token, [{ ...key, secret: 'another secret, of a forger' }])).toBeUndefined()
})

test('a token with any character changed is none, and nothing ever throws', () => {
  fc.assert(
    fc.property(
      fc.nat(token.length - 1),
      fc.string({ minLength: 1, maxLength: 1 }),
      (index, character) => {
        const changed = token.slice(0, index) + character + token.slice(index + 1)
        fc.pre(changed !== token)
        return readToken(changed, [key]) === undefined
      },
    ),
    { numRuns: 5_000 },
  )
  fc.assert(fc.property(fc.anything(), (value) => readToken(value, [key]) === undefined))
  expect(readToken(token.repeat(100_000), [key])).toBeUndefined()
  expect(readToken(`${token}\r\n`, [key])).toBeUndefined()
})
