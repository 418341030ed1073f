/** What a read may try to change data; the tables it needs; and the proof that nothing changed. */
import { expect } from 'vitest'
import type { FreshDatabase } from './servers.ts'

export const ATTACKED_TABLES = `
  CREATE TABLE posts (id int PRIMARY KEY, title text);
  CREATE SEQUENCE numbers;
  CREATE FUNCTION hidden_write() RETURNS int LANGUAGE sql AS 'INSERT INTO posts VALUES (99) RETURNING id';
  CREATE FUNCTION unlock(name text) RETURNS text LANGUAGE sql AS 'SELECT set_config(name, ''off'', false)';
  INSERT INTO posts VALUES (1, 'kept');
`

/** What a read may try; all must be refused with the strict error and change nothing. */
export const ATTACKS: readonly [name: string, text: string, values?: unknown[]][] = [
  ['an INSERT', "INSERT INTO posts VALUES (2, 'no')"],
  ['a DELETE in a CTE', 'WITH gone AS (DELETE FROM posts RETURNING id) SELECT * FROM gone'],
  ['nextval()', "SELECT nextval('numbers')"],
  ['a function that writes', 'SELECT hidden_write()'],
  ['SELECT INTO', 'SELECT 1 INTO other'],
  ['SELECT FOR UPDATE', 'SELECT * FROM posts FOR UPDATE'],
  ['EXPLAIN ANALYZE of a write', 'EXPLAIN ANALYZE DELETE FROM posts'],
  ['DDL', 'CREATE TABLE other (id int)'],
  ['TRUNCATE', 'TRUNCATE posts'],
  ['BEGIN READ WRITE', 'BEGIN READ WRITE'],
  ['BEGIN READ WRITE with the write', 'BEGIN READ WRITE; DELETE FROM posts; COMMIT'],
  ['the setting, then the write', 'SET default_transaction_read_only = off; DELETE FROM posts'],
  ['the local setting, then the write', 'SET LOCAL transaction_read_only = off; DELETE FROM posts'],
  ['SET TRANSACTION, then the write', 'SET TRANSACTION READ WRITE; DELETE FROM posts'],
  [
    'a long SET TRANSACTION, then the write',
    'SET TRANSACTION ISOLATION LEVEL READ COMMITTED, DEFERRABLE, NOT DEFERRABLE, READ WRITE; DELETE FROM posts',
  ],
  [
    'the setting spelt in Unicode, then the write',
    'SET LOCAL U&"transaction_read\\005fonly" = off; DELETE FROM posts',
  ],
  [
    'a hidden setting, COMMIT, then the write',
    "SELECT set_config('default_transaction_' || 'read_only', 'off', false); COMMIT; DELETE FROM posts",
  ],
  [
    'a comment that a carriage return ends, then the write',
    '--\rBEGIN READ WRITE; DELETE FROM posts; COMMIT',
  ],
  [
    'a comment that a carriage return ends, in the middle',
    'SELECT 1; -- x\rCOMMIT; BEGIN READ WRITE; DELETE FROM posts; COMMIT',
  ],
  ['a write, then COMMIT', 'DELETE FROM posts; COMMIT'],
  ['COMMIT, then a write', 'COMMIT; DELETE FROM posts'],
  ['BEGIN, COMMIT, then a write', 'BEGIN; COMMIT; DELETE FROM posts'],
  ['VACUUM', 'VACUUM posts'],
  ['RESET ALL', 'RESET ALL'],
  ['DISCARD ALL', 'DISCARD ALL'],
  [
    'set_config by a parameter',
    'SELECT set_config($1, $2, false)',
    ['default_transaction_read_only', 'off'],
  ],
  [
    'DO with a COMMIT inside',
    "DO $$ BEGIN PERFORM unlock('default_transaction_read_only'); COMMIT; DELETE FROM posts; END $$",
  ],
  ['ALTER SYSTEM', "ALTER SYSTEM SET log_statement = 'none'"],
]

export const expectUnchanged = async (db: FreshDatabase): Promise<void> => {
  const { rows } = await db.admin.query('SELECT * FROM posts')
  expect(rows).toEqual([{ id: 1, title: 'kept' }])
  expect((await db.admin.query('SELECT is_called FROM numbers')).rows).toEqual([
    { is_called: false },
  ])
  expect((await db.admin.query("SELECT to_regclass('other') AS other")).rows).toEqual([
    { other: null },
  ])
}
