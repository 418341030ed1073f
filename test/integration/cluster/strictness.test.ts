import { beforeAll, describe, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { StrictReadModelError } from '../../../src/errors.ts'
import { closedPorts, useCluster, withDeadReplicas } from '../../support/cluster.ts'

const fixture = useCluster(`
  CREATE TABLE posts (id int PRIMARY KEY, title text);
  CREATE SEQUENCE numbers;
  CREATE FUNCTION hidden_write() RETURNS int LANGUAGE sql AS 'INSERT INTO posts VALUES (99) RETURNING id';
  CREATE FUNCTION unlock(name text) RETURNS text LANGUAGE sql AS 'SELECT set_config(name, ''off'', false)';
  INSERT INTO posts VALUES (1, 'kept');
`)

/** What a read may try; all must be refused with the strict error and change nothing. */
const ATTACKS: readonly [name: string, text: string, values?: unknown[]][] = [
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
  ['RESET ALL', 'RESET ALL'],
  ['DISCARD ALL', 'DISCARD ALL'],
  ['set_config by a parameter', 'SELECT set_config($1, $2, false)', ['default_transaction_read_only', 'off']],
  ['DO with a COMMIT inside', "DO $$ BEGIN PERFORM unlock('default_transaction_read_only'); COMMIT; DELETE FROM posts; END $$"],
  ['ALTER SYSTEM', "ALTER SYSTEM SET log_statement = 'none'"],
]

const unchanged = async (): Promise<void> => {
  const { rows } = await fixture.db.admin.query('SELECT * FROM posts')
  expect(rows).toEqual([{ id: 1, title: 'kept' }])
  expect((await fixture.db.admin.query('SELECT is_called FROM numbers')).rows).toEqual([{ is_called: false }])
  expect((await fixture.db.admin.query("SELECT to_regclass('other') AS other")).rows).toEqual([{ other: null }])
}

const PLACES: readonly [name: string, open: () => Promise<Cluster>][] = [
  ['on a replica', async () => fixture.open()],
  ['on the primary, all replicas down', async () => {
    const ports = await closedPorts(2)
    return fixture.open({}, (config) => withDeadReplicas(config, ports))
  }],
  ['on one server under two names', async () =>
    fixture.open({}, ({ master }) => ({ master, replica1: master, settings: { allowSameServer: true } }))],
  ['on one server without replicas', async () =>
    fixture.open({}, ({ master }) => ({ master, settings: { allowSameServer: true } }))],
] // prettier-ignore

describe.each(PLACES)('%s', (_, open) => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await open()
  })

  test.each(ATTACKS)('%s through reader is refused', async (_name, text, values) => {
    await expect(cluster.reader.query(text, values as never)).rejects.toThrow(StrictReadModelError)
    await unchanged()
  })

  test.each(ATTACKS)('%s through a client of reader is refused, and the client works on', async (_name, text, values) => {
    const client = await cluster.reader.connect()
    await expect(client.query(text, values as never)).rejects.toThrow(StrictReadModelError)
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    client.release()
    await unchanged()
  })

  test.each(ATTACKS)('%s through reader inside transaction() is refused, and the transaction goes on', async (_name, text, values) => {
    const after = await cluster.transaction(async () => {
      await expect(cluster.reader.query(text, values as never)).rejects.toThrow(StrictReadModelError)
      return cluster.writer.query('SELECT count(*)::int AS posts FROM posts')
    })
    expect(after.rows).toEqual([{ posts: 1 }])
    await unchanged()
  })

  test.each(ATTACKS)('%s through reader inside snapshot() is refused', async (_name, text, values) => {
    await cluster.snapshot(async () => {
      await expect(cluster.reader.query(text, values as never)).rejects.toThrow(StrictReadModelError)
    })
    await unchanged()
  })

  test('a hidden change of the setting ends the connection before the next statement', async () => {
    const client = await cluster.reader.connect()
    await client.query("SELECT unlock('default_transaction' || '_read_only')")
    await expect(client.query("INSERT INTO posts VALUES (2, 'no')")).rejects.toThrow(StrictReadModelError)
    client.release()
    await expect(cluster.reader.query("INSERT INTO posts VALUES (2, 'no')")).rejects.toThrow(StrictReadModelError)
    await unchanged()
  })

  test('callbacks, query objects and cursors get the same error', async () => {
    const error = await new Promise((resolve) => cluster.reader.query('DELETE FROM posts', resolve))
    expect(error).toBeInstanceOf(StrictReadModelError)
    await expect(cluster.reader.query({ text: 'DELETE FROM posts WHERE id = $1', values: [1], name: 'gone' })).rejects.toThrow(
      StrictReadModelError,
    )
    await unchanged()
  })
})

test('the error names the operation, the SQLSTATE and keeps the cause', async () => {
  const error: unknown = await fixture.open().reader.query("INSERT INTO posts VALUES (2, 'no')").catch((e: unknown) => e)
  expect(error).toMatchObject({
    code: 'SEGREGATO_STRICT_READ',
    operation: 'INSERT',
    sqlState: '25006',
    message: 'The Read Model is not allowed to perform Write operations: INSERT',
    cause: { code: '25006' },
  })
})
