import { expect, test } from 'vitest'
import { firstWord, scanStatements } from '../../../src/sql/scan.ts'

const statements = (text: string): string[] =>
  scanStatements(text).map(({ start, end }) => text.slice(start, end).trim())

test('splits at semicolons and leaves empty statements out', () => {
  expect(statements('SELECT 1; ;SELECT 2;')).toEqual(['SELECT 1', 'SELECT 2'])
  expect(statements('')).toEqual([])
  expect(statements(' ; -- nothing\n ;')).toEqual([])
})

test.each([
  ['a string', "SELECT ';'; SELECT 2", 2],
  ['a doubled quote', "SELECT 'it''s; so'; SELECT 2", 2],
  ['a backslash in an ordinary string', "SELECT '\\'; SELECT 2", 2],
  ['an escaped quote in an E string', "SELECT E'\\'; SELECT 2'", 1],
  ['a quoted name', 'SELECT ";"; SELECT 2', 2],
  ['a dollar quote', 'DO $$ BEGIN; END $$; SELECT 2', 2],
  ['a tagged dollar quote', 'SELECT $a$ $$ ; $b$ $a$; SELECT 2', 2],
  ['a parameter', 'SELECT $1; SELECT $2', 2],
  ['a dollar quote after a number', 'SELECT 1$a$;$a$; SELECT $1$a$;$a$', 2],
  ['a name with a dollar sign', 'SELECT a$b$; SELECT $b$;$b$', 2],
  ['a line comment', 'SELECT 1 -- ; no\n; SELECT 2', 2],
  ['a line comment that a carriage return ends', 'SELECT 1 -- ; no\r; SELECT 2', 2],
  ['a nested comment', 'SELECT 1 /* ; /* ; */ ; */; SELECT 2', 2],
  ['an unterminated string', "SELECT '; SELECT 2", 1],
  ['an unterminated comment', 'SELECT 1 /* ; SELECT 2', 1],
  ['an unterminated dollar quote', 'SELECT $x$; SELECT 2', 1],
])('a semicolon inside %s', (_, text, count) => {
  expect(scanStatements(text)).toHaveLength(count)
})

test('keeps all words where one at the end can change the transaction, else two', () => {
  expect(scanStatements('BEGIN a b c d e f g h i j k l m READ WRITE')[0]?.words).toHaveLength(16)
  expect(scanStatements('SELECT a b c')[0]?.words).toEqual(['SELECT', 'A'])
})

test('gives the first words in upper case, past comments', () => {
  expect(scanStatements('/* x */ begin -- y\n isolation level Serializable')[0]?.words).toEqual([
    'BEGIN', 'ISOLATION', 'LEVEL', 'SERIALIZABLE',
  ]) // prettier-ignore
  expect(firstWord('  -- c\n /* d */ select 1')).toBe('SELECT')
  expect(firstWord('--\rselect 1')).toBe('SELECT')
  expect(firstWord('(select 1)')).toBe('(')
  expect(firstWord('')).toBe('')
})

test('a megabyte of hostile nesting takes one pass', () => {
  const size = 200_000
  for (const text of [
    '/*'.repeat(size),
    '('.repeat(size),
    "'".repeat(size + 1),
    '$a$'.repeat(size),
    '"'.repeat(size),
  ]) {
    expect(scanStatements(text).length).toBeLessThanOrEqual(1)
  }
})
