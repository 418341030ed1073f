import pg from 'pg'
import type { PoolClient } from 'pg'
import Cursor from 'pg-cursor'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { StrictReadModelError } from '../../../src/errors.ts'
import { ATTACKED_TABLES, ATTACKS, expectUnchanged } from '../../support/attacks.ts'
import { closedPorts, useCluster, withDeadReplicas } from '../../support/cluster.ts'

const fixture = useCluster(ATTACKED_TABLES)

/** What a query object fails with; undefined when it does not. */
const failureOf = (client: PoolClient, query: pg.Query | Cursor): Promise<unknown> => {
  if (query instanceof Cursor) {
    return client
      .query(query)
      .read(1)
      .then(() => undefined)
      .catch((error: unknown) => error)
  }
  return new Promise((resolve) => {
    query.on('error', resolve).on('end', () => resolve(undefined))
    client.query(query)
  })
}

const unchanged = (): Promise<void> => expectUnchanged(fixture.db)

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

  test.each(ATTACKS)(
    '%s through a client of reader is refused, and the client works on',
    async (_name, text, values) => {
      const client = await cluster.reader.connect()
      await expect(client.query(text, values as never)).rejects.toThrow(StrictReadModelError)
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      client.release()
      await unchanged()
    },
  )

  test.each(ATTACKS)(
    '%s through reader inside transaction() is refused, and the transaction goes on',
    async (_name, text, values) => {
      const after = await cluster.transaction(async () => {
        await expect(cluster.reader.query(text, values as never)).rejects.toThrow(
          StrictReadModelError,
        )
        return cluster.writer.query('SELECT count(*)::int AS posts FROM posts')
      })
      expect(after.rows).toEqual([{ posts: 1 }])
      await unchanged()
    },
  )

  test.each(ATTACKS)(
    '%s through reader inside snapshot() is refused',
    async (_name, text, values) => {
      await cluster.snapshot(async () => {
        await expect(cluster.reader.query(text, values as never)).rejects.toThrow(
          StrictReadModelError,
        )
      })
      await unchanged()
    },
  )

  test('a hidden change of the setting ends the connection before anything can follow', async () => {
    const hidden = "SELECT unlock('default_transaction' || '_read_only')"
    const client = await cluster.reader.connect()
    const sent = [client.query(hidden), client.query("INSERT INTO posts VALUES (2, 'no')")]
    const [, write] = await Promise.allSettled(sent)
    expect(write).toMatchObject({ status: 'rejected', reason: expect.any(StrictReadModelError) })
    await expect(client.query("INSERT INTO posts VALUES (2, 'no')")).rejects.toThrow()
    client.release()
    await cluster.reader.query(hidden).catch(() => undefined)
    await expect(cluster.reader.query("INSERT INTO posts VALUES (2, 'no')")).rejects.toThrow(
      StrictReadModelError,
    )
    await unchanged()
  })

  const SETTING = ['SELECT set_config($1, $2, false)', ['default_transaction_read_only', 'off']]
  test.each<[string, () => pg.Query | Cursor]>([
    ['a setting by a parameter of a cursor', () => Reflect.construct(Cursor, SETTING)],
    ['a setting by a parameter of a query', () => Reflect.construct(pg.Query, SETTING)],
    ['a command that a read-only transaction accepts', () => new pg.Query('NOTIFY posts')],
    [
      'a setting, then the write',
      () => new pg.Query('SET transaction_read_only = off; TRUNCATE posts'),
    ],
  ])('in a query object is refused, in scopes and outside: %s', async (_name, make) => {
    const attack = async (): Promise<unknown> => {
      const client = await cluster.reader.connect()
      try {
        return await failureOf(client, make())
      } finally {
        client.release()
      }
    }
    expect(await attack()).toBeInstanceOf(StrictReadModelError)
    expect(await cluster.transaction(attack)).toBeInstanceOf(StrictReadModelError)
    expect(await cluster.snapshot(attack)).toBeInstanceOf(StrictReadModelError)
    await unchanged()
  })

  test('callbacks, query objects and cursors get the same error', async () => {
    const error = await new Promise((resolve) => cluster.reader.query('DELETE FROM posts', resolve))
    expect(error).toBeInstanceOf(StrictReadModelError)
    await expect(
      cluster.reader.query({ text: 'DELETE FROM posts WHERE id = $1', values: [1], name: 'gone' }),
    ).rejects.toThrow(StrictReadModelError)
    await unchanged()
  })
})

test('the error names the operation, the SQLSTATE and keeps the cause', async () => {
  const error: unknown = await fixture
    .open()
    .reader.query("INSERT INTO posts VALUES (2, 'no')")
    .catch((e: unknown) => e)
  expect(error).toMatchObject({
    code: 'SEGREGATO_STRICT_READ',
    operation: 'INSERT',
    sqlState: '25006',
    message: 'The Read Model is not allowed to perform Write operations: INSERT',
    cause: { code: '25006' },
  })
})
