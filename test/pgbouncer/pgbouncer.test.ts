import Cursor from 'pg-cursor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/cluster/connect.ts'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { PAGES } from '../../src/cluster/statement.ts'
import { StrictReadModelError } from '../../src/errors.ts'
import { ATTACKED_TABLES, ATTACKS, expectUnchanged } from '../support/attacks.ts'
import { closedPorts, useCluster, WHO, withDeadReplicas } from '../support/cluster.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'
import type { PgBouncer } from '../support/pgbouncer.ts'

const fixture = useCluster(ATTACKED_TABLES)
let pooler: PgBouncer
let direct: Cluster
let displaced: Cluster

beforeAll(async () => {
  pooler = await startPgBouncer(fixture.db.config)
  direct = connect({ config: pooler.config })
  displaced = connect({ config: withDeadReplicas(pooler.config, await closedPorts(2)) })
})
afterAll(async () => {
  await direct?.close()
  await displaced?.close()
  await pooler?.close()
})

describe.each([
  ['on a replica', () => direct],
  ['on the primary, all replicas down', () => displaced],
])('%s', (_, cluster) => {
  test.each(ATTACKS)('%s through reader is refused', async (_name, text, values) => {
    await expect(cluster().reader.query(text, values as never)).rejects.toThrow(
      StrictReadModelError,
    )
    const client = await cluster().reader.connect()
    await expect(client.query(text, values as never)).rejects.toThrow(StrictReadModelError)
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    client.release()
    await cluster().transaction(async () => {
      await expect(cluster().reader.query(text, values as never)).rejects.toThrow(
        StrictReadModelError,
      )
    })
    await expectUnchanged(fixture.db)
  })
})

test('statements, transactions, cursors and pages of a user work', async () => {
  expect((await direct.reader.query(WHO)).rows[0].replica).toBe(true)
  expect(
    (await direct.writer.query({ text: 'SELECT $1::int AS n', values: [7], name: 'named' })).rows,
  ).toEqual([{ n: 7 }])
  const client = await direct.reader.connect()
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  expect(
    (
      await client.query(
        "SELECT current_setting('transaction_read_only') AS ro, current_setting('transaction_isolation') AS iso",
      )
    ).rows,
  ).toEqual([{ ro: 'on', iso: 'repeatable read' }])
  await client.query('COMMIT')
  const cursor = client.query(new Cursor('SELECT generate_series(1, 5) AS n'))
  expect(await cursor.read(3)).toHaveLength(3)
  await cursor.close()
  client.release()
  const pages: number[] = []
  for await (const rows of direct.reader[PAGES](
    { text: 'SELECT generate_series(1, 5)' },
    { pageSize: 2 },
  ))
    pages.push(rows.length)
  expect(pages).toEqual([2, 2, 1])
  expect(
    await direct.snapshot(async () => (await direct.reader.query('SELECT 1 AS one')).rows),
  ).toEqual([{ one: 1 }])
})
