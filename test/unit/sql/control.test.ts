import { expect, test } from 'vitest'
import { controlsOf, rewriteControls } from '../../../src/sql/control.ts'

test.each([
  ['BEGIN', { kind: 'begin', access: undefined }],
  ['begin work', { kind: 'begin', access: undefined }],
  ['START TRANSACTION READ ONLY', { kind: 'begin', access: 'read only' }],
  ['BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE', { kind: 'begin', access: 'read write' }],
  ['BEGIN READ ONLY, READ WRITE', { kind: 'begin', access: 'read write' }],
  ['COMMIT', { kind: 'commit', chain: false }],
  ['END', { kind: 'commit', chain: false }],
  ['COMMIT AND CHAIN', { kind: 'commit', chain: true }],
  ['COMMIT AND NO CHAIN', { kind: 'commit', chain: false }],
  ['ABORT', { kind: 'rollback', chain: false }],
  ['ROLLBACK WORK', { kind: 'rollback', chain: false }],
  ["PREPARE TRANSACTION 'x'", { kind: 'prepare' }],
])('%s controls the transaction', (text, control) => {
  expect(controlsOf(text)).toEqual([control])
})

test.each([
  'SELECT 1', 'SAVEPOINT a', 'RELEASE a', 'ROLLBACK TO a', 'ROLLBACK WORK TO SAVEPOINT a',
  "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'", 'PREPARE p AS SELECT 1', "SELECT 'BEGIN'", '-- BEGIN',
])('%s does not', (text) => {
  expect(controlsOf(text)).toEqual([])
}) // prettier-ignore

test('rewrites them in place and nothing else', () => {
  const text = "BEGIN; INSERT INTO t VALUES ('COMMIT;'); COMMIT -- done"
  expect(rewriteControls(text, ({ kind }) => `<${kind}>`)).toBe(
    "<begin>; INSERT INTO t VALUES ('COMMIT;'); <commit>",
  )
  expect(rewriteControls('SELECT 1', () => 'x')).toBe('SELECT 1')
})
