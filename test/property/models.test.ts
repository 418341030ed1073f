import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvalidArgumentError, SegregatoError } from '../../src/errors.ts'
import type { TableColumns } from '../../src/models/columns.ts'
import { condition, whereClause } from '../../src/models/conditions.ts'
import { quoteIdentifier } from '../../src/models/identifiers.ts'
import { insertMany, MAX_PARAMETERS } from '../../src/models/insert.ts'
import { decodeCursor, encodeCursor, pageOrder } from '../../src/models/keyset.ts'
import { order } from '../../src/models/read-state.ts'
import { Parameters } from '../../src/models/values.ts'

const NOTHING: TableColumns = { facts: new Map(), complete: false }
const table = { name: 'posts', sql: '"posts"', key: ['id'] }

/** Reads one quoted identifier as PostgreSQL does. */
const unquote = (quoted: string): string => {
  expect(quoted).toMatch(/^"(?:[^"]|"")+"$/)
  return quoted.slice(1, -1).replaceAll('""', '"')
}

const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('"', '""', 'a"; drop table posts; --', "'", '\\', '$1', '?'),
)

test('an identifier is quoted so that it reads as itself, or refused', () => {
  fc.assert(
    fc.property(hostile, (name) => {
      const bad = name === '' || name.includes('\0') || Buffer.byteLength(name) > 63
      if (bad) expect(() => quoteIdentifier(name)).toThrow(InvalidArgumentError)
      else expect(unquote(quoteIdentifier(name))).toBe(name)
    }),
  )
})

test('values never become text: only placeholders, counted in order', () => {
  const value = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.option(fc.string())),
  )
  fc.assert(
    fc.property(
      fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), value, { noNullPrototype: true }),
      (where) => {
        const parameters = new Parameters()
        const text = whereClause([condition(where)], NOTHING, parameters)
        expect(text).toMatch(
          /^(?:| where (?:(?: and )?\(?"[a-z]+" (?:is null|= (?:any\()?\$\d+\)?)(?: or "[a-z]+" is null\))?)+)$/,
        )
        const placeholders = Array.from(text.matchAll(/\$(\d+)/g), ([, number]) => Number(number))
        expect(placeholders).toEqual(parameters.values.map((_, index) => index + 1))
      },
    ),
  )
})

test('undefined anywhere in a condition is refused', () => {
  const where = fc.dictionary(
    fc.stringMatching(/^[a-z]{1,9}$/),
    fc.oneof(fc.string(), fc.array(fc.string())),
  )
  fc.assert(
    fc.property(where, fc.boolean(), (rest, inArray) => {
      expect(() => condition({ ...rest, wrong: inArray ? ['a', undefined] : undefined })).toThrow(
        InvalidArgumentError,
      )
    }),
  )
})

test('a direction is asc or desc', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.anything(), fc.string(), fc.constantFrom('asc', 'DESC', 'asc nulls first')),
      (direction) => {
        try {
          expect(['asc', 'desc']).toContain(order('id', direction).direction)
        } catch (error) {
          expect(error).toBeInstanceOf(SegregatoError)
        }
      },
    ),
  )
})

test('a cursor gives back its place, in its own order only', () => {
  const places = fc.tuple(fc.option(fc.string({ unit: 'grapheme' })), fc.string())
  fc.assert(
    fc.property(places, (place) => {
      const orders = pageOrder(table, [{ column: 'title', direction: 'desc' }])
      const cursor = encodeCursor(table, orders, place)
      expect(cursor).toMatch(/^[\w-]+$/)
      expect(decodeCursor(table, orders, cursor)).toEqual(place)
      const others = pageOrder(table, [{ column: 'title', direction: 'asc' }])
      expect(() => decodeCursor(table, others, cursor)).toThrow(InvalidArgumentError)
    }),
  )
})

test('no text that is no cursor is taken for one, or fails in another way', () => {
  const orders = pageOrder(table, [])
  const texts = fc.oneof(
    fc.anything(),
    fc.string(),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
  )
  fc.assert(
    fc.property(texts, (text) => {
      expect(() => decodeCursor(table, orders, text)).toThrow(InvalidArgumentError)
    }),
  )
})

test('any number of rows: every value once, in order, no statement beyond the limit', () => {
  const shapes = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 0, max: 9 })),
    { minLength: 1, maxLength: 4 },
  )
  fc.assert(
    fc.property(shapes, (parts) => {
      let next = 0
      const rows = parts.flatMap(([count, width]) =>
        Array.from({ length: count }, () =>
          Object.fromEntries(Array.from({ length: width }, (_, index) => [`c${index}`, next++])),
        ),
      )
      const plan = { table, columns: NOTHING, timestamp: undefined }
      const sent: unknown[] = []
      for (const { values } of insertMany(plan, rows)) {
        expect(values.length).toBeLessThanOrEqual(MAX_PARAMETERS)
        for (const value of values) sent.push(value)
      }
      expect(sent.length).toBe(next)
      expect(sent.every((value, index) => value === index)).toBe(true)
    }),
    { numRuns: 15 },
  )
})
