import { expect, test } from 'vitest'
import { hasControl, refusedInScope, refusedOnReader } from '../../../src/sql/read-guard.ts'

test.each([
  'BEGIN READ WRITE',
  'START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE',
  'SET TRANSACTION READ WRITE',
  'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
  'SET default_transaction_read_only = off',
  'SET "transaction_read_only" TO off',
  'SET LOCAL transaction_read_only = off',
  'set session default_transaction_read_only to default',
  'RESET default_transaction_read_only',
  'RESET ALL',
  'DISCARD ALL',
  'SELECT 1; DISCARD ALL',
  'SET TRANSACTION ISOLATION LEVEL READ COMMITTED, DEFERRABLE, NOT DEFERRABLE, READ WRITE',
  'BEGIN ISOLATION LEVEL READ COMMITTED, DEFERRABLE, NOT DEFERRABLE, READ ONLY, READ WRITE',
  'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE',
  'SET LOCAL U&"transaction_read\\005fonly" = off',
  'SET "anything quoted" = off',
  'RESET U&"transaction_read\\005fonly"',
  "SELECT set_config('default_transaction_' || 'read_only', 'off', false); COMMIT; DELETE FROM t",
  // Then a backslash would end strings elsewhere than where the guard sees their end.
  'SET standard_conforming_strings = off',
  'SET LOCAL standard_conforming_strings TO DEFAULT',
  "SET standard_conforming_strings = 'off'",
  'SET standard_conforming_strings FROM CURRENT',
  "SELECT set_config('standard_conforming_strings', 'off', false)",
  'VACUUM',
  'CHECKPOINT',
  "COPY t TO PROGRAM 'cat'",
  '/* x */ SET transaction_read_only = off; INSERT INTO t VALUES (1)',
  "SELECT set_config('transaction_read_only', 'off', false)",
  'DO $$ BEGIN NULL; END $$',
  'CALL p()',
  "ALTER SYSTEM SET work_mem = '1GB'",
  'NOTIFY jobs',
  "COMMIT PREPARED 'x'",
  "PREPARE TRANSACTION 'x'",
])('%s is refused', (text) => {
  expect(refusedOnReader(text)).toBeTypeOf('string')
})

test('a setting whose name comes as a parameter is refused too', () => {
  expect(
    refusedOnReader('SELECT set_config($1, $2, false)', ['default_transaction_read_only', 'off']),
  ).toBe('set_config')
})

test.each([
  'SELECT 1',
  'BEGIN',
  'BEGIN READ ONLY',
  'COMMIT',
  'SET search_path = app',
  // ORMs say so at the start of each connection.
  'SET standard_conforming_strings=on',
  "SET SESSION standard_conforming_strings TO 'on'",
  'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  'RESET search_path',
  "SELECT set_config('app.tenant', '1', true)",
  "SELECT current_setting('transaction_read_only')",
  'SHOW transaction_read_only',
  'SELECT 1; SET LOCAL search_path = app',
  "SELECT 'DO'",
  'PREPARE p AS SELECT 1',
  // What the server refuses by itself is left to it.
  'INSERT INTO t VALUES (1)',
  "SELECT nextval('s')",
])('%s passes', (text) => {
  expect(refusedOnReader(text)).toBeUndefined()
})

test('inside a transaction nothing may end it, nor a savepoint that makes it read-only', () => {
  const inWriting = (text: string) => refusedInScope(text, undefined, false)
  expect(inWriting('RELEASE a; INSERT INTO t VALUES (1)')).toBe('RELEASE')
  expect(inWriting('SELECT 1; ROLLBACK TO a')).toBe('ROLLBACK')
  expect(inWriting('COMMIT')).toBe('COMMIT')
  expect(inWriting('BEGIN')).toBe('BEGIN')
  expect(inWriting('SELECT 1; SELECT 2')).toBeUndefined()
  const inReading = (text: string) => refusedInScope(text, undefined, true)
  expect(inReading('ROLLBACK TO a')).toBeUndefined()
  expect(inReading('ROLLBACK')).toBe('ROLLBACK')
  expect(inReading('SET TRANSACTION READ WRITE')).toBe('SET TRANSACTION READ WRITE')
})

test('control is seen wherever it stands', () => {
  expect(hasControl('commit')).toBe(true)
  expect(hasControl('SELECT 1; COMMIT')).toBe(true)
  expect(hasControl("PREPARE TRANSACTION 'x'")).toBe(true)
  expect(hasControl("SELECT 'COMMIT;'")).toBe(false)
  expect(hasControl('ROLLBACK TO a')).toBe(false)
})
