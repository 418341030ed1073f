import { expect, test } from 'vitest'
import { refusedInSavepoint, refusedOnReader } from '../../../src/sql/read-guard.ts'

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
  'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  'RESET search_path',
  "SELECT set_config('app.tenant', '1', true)",
  "SELECT current_setting('transaction_read_only')",
  'SHOW transaction_read_only',
  "SELECT 'DO'",
  'PREPARE p AS SELECT 1',
  // What the server refuses by itself is left to it.
  'INSERT INTO t VALUES (1)',
  "SELECT nextval('s')",
])('%s passes', (text) => {
  expect(refusedOnReader(text)).toBeUndefined()
})

test('under a savepoint nothing may end it', () => {
  expect(refusedInSavepoint('RELEASE a; INSERT INTO t VALUES (1)')).toBe('RELEASE')
  expect(refusedInSavepoint('SELECT 1; ROLLBACK TO a')).toBe('ROLLBACK')
  expect(refusedInSavepoint('COMMIT')).toBe('COMMIT')
  expect(refusedInSavepoint('SELECT 1; SELECT 2')).toBeUndefined()
})
