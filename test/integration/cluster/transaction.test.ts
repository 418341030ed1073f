import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { beforeEach, expect, test } from 'vitest'
import {
  DeadlineExceededError,
  InvalidArgumentError,
  ScopeBusyError,
  ScopeEndedError,
  ScopeNestingError,
  TransactionRolledBackError,
} from '../../../src/errors.ts'
import { PAGES } from '../../../src/cluster/statement.ts'
import { useCluster } from '../../support/cluster.ts'
import { watchStatements } from '../../support/servers.ts'

const fixture = useCluster('CREATE TABLE posts (id int PRIMARY KEY, title text)')

beforeEach(() => fixture.db.admin.query('TRUNCATE posts'))

const stored = async (): Promise<number[]> =>
  (await fixture.db.admin.query<{ id: number }>('SELECT id FROM posts ORDER BY id')).rows.map(
    ({ id }) => id,
  )

const boom = new Error('boom')

test('commits, or rolls back when the function rejects', async () => {
  const { writer, ...cluster } = scopes()
  expect(await cluster.transaction(async () => (await insert(writer, 1)).rowCount)).toBe(1)
  await expect(
    cluster.transaction(async () => {
      await insert(writer, 2)
      throw boom
    }),
  ).rejects.toBe(boom)
  expect(await stored()).toEqual([1])
})

test('writer, reader and their clients are on one connection of the primary', async () => {
  const { writer, reader, transaction } = scopes()
  const ME = 'SELECT pg_backend_pid() AS pid, inet_server_port() AS port'
  const seen = await transaction(async () => {
    await insert(writer, 1)
    const client = await reader.connect()
    const answers = [await writer.query(ME), await reader.query(ME), await client.query(ME)]
    client.release()
    expect((await reader.query('SELECT id FROM posts')).rows).toEqual([{ id: 1 }])
    expect(answers[1]).toMatchObject({ routing: { node: 'master', reason: 'transaction' } })
    return answers.map(({ rows }) => rows[0])
  })
  expect(new Set(seen.map(({ pid }) => pid)).size).toBe(1)
  expect(fixture.nameOf(seen[0])).toBe('master')
})

test('a nested transaction is a savepoint: its failure leaves the outer one alone', async () => {
  const { writer, transaction } = scopes()
  await transaction(async () => {
    await insert(writer, 1)
    await expect(
      transaction(async () => {
        await insert(writer, 2)
        await insert(writer, 1)
      }),
    ).rejects.toMatchObject({ code: '23505' })
    await transaction(() => insert(writer, 3))
  })
  expect(await stored()).toEqual([1, 3])
})

test('parallel branches queue, a nested transaction as a whole', async () => {
  const { writer, transaction } = scopes()
  const log = await watchStatements(fixture.db.name)
  await transaction(async () => {
    await Promise.all([
      transaction(async () => {
        await insert(writer, 1)
        await insert(writer, 2)
        throw boom
      }).catch(() => undefined),
      insert(writer, 3),
      transaction(() => insert(writer, 4)),
    ])
  })
  expect(await stored()).toEqual([3, 4])
  const order = (await log.texts('master'))
    .filter((text) => text.startsWith('INSERT'))
    .map((text) => /\d/.exec(text)?.[0])
  expect(order).toEqual(['1', '2', '3', '4'])
})

test.each(['BEGIN', 'begin;', 'START TRANSACTION ISOLATION LEVEL READ COMMITTED'])(
  'a %s that a library sends becomes a savepoint, its ROLLBACK undoes only that',
  async (begin) => {
    const { writer, transaction } = scopes()
    await transaction(async () => {
      await insert(writer, 1)
      const client = await writer.connect()
      expect((await client.query(begin)).command).toBe('BEGIN')
      await insert(client, 2)
      expect((await client.query('ROLLBACK')).command).toBe('ROLLBACK')
      await client.query(begin)
      await insert(client, 3)
      expect((await client.query('COMMIT')).command).toBe('COMMIT')
      // None is open: as in PostgreSQL a warning's worth, and nothing gets out.
      await client.query('COMMIT')
      await client.query('ROLLBACK')
      client.release()
    })
    expect(await stored()).toEqual([1, 3])
  },
)

test('COMMIT after a failed statement answers ROLLBACK, as PostgreSQL does', async () => {
  const { writer, transaction } = scopes()
  await transaction(async () => {
    const client = await writer.connect()
    await client.query('BEGIN')
    await insert(client, 1)
    await expect(client.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' })
    expect((await client.query('COMMIT')).command).toBe('ROLLBACK')
    client.release()
    await insert(writer, 2)
  })
  expect(await stored()).toEqual([2])
})

test('a multi-statement text with BEGIN and COMMIT stays inside', async () => {
  const { writer, transaction } = scopes()
  await expect(
    transaction(async () => {
      const results = await writer.query(
        'BEGIN; INSERT INTO posts VALUES (1); COMMIT; SELECT 7 AS seven',
      )
      expect((results as unknown as { command: string }[]).map(({ command }) => command)).toEqual([
        'BEGIN', 'INSERT', 'COMMIT', 'SELECT',
      ]) // prettier-ignore
      throw boom
    }),
  ).rejects.toBe(boom)
  expect(await stored()).toEqual([])
})

test('a client released with an open BEGIN is rolled back', async () => {
  const { writer, transaction } = scopes()
  await transaction(async () => {
    const client = await writer.connect()
    await client.query('BEGIN')
    await insert(client, 1)
    client.release()
    await insert(writer, 2)
  })
  expect(await stored()).toEqual([2])
})

test('a statement of another client waits for an open BEGIN, and fails when it never ends', async () => {
  const { writer, transaction } = scopes()
  await transaction(async () => {
    const client = await writer.connect()
    await client.query('BEGIN')
    await insert(client, 1)
    const other = insert(writer, 2)
    await insert(client, 3)
    await client.query('ROLLBACK')
    await other
    await client.query('BEGIN')
    await expect(insert(writer, 4)).rejects.toThrow(ScopeBusyError)
    await client.query('COMMIT')
    client.release()
  })
  expect(await stored()).toEqual([2])
}, 20_000)

test('PREPARE TRANSACTION is refused', async () => {
  const { writer, transaction } = scopes()
  await transaction(async () => {
    await expect(writer.query("PREPARE TRANSACTION 'x'")).rejects.toThrow(ScopeNestingError)
    await insert(writer, 1)
  })
  expect(await stored()).toEqual([1])
})

test('work that outlives its scope is refused and nothing is sent', async () => {
  const { writer, transaction } = scopes()
  let late: () => Promise<unknown> = async () => undefined
  let forgotten: Promise<unknown> = Promise.resolve()
  await transaction(async () => {
    const client = await writer.connect()
    late = () => insert(client, 1)
    forgotten = new Promise((resolve) =>
      setTimeout(() => resolve(insert(writer, 2).catch((error: unknown) => error)), 50),
    )
  })
  const log = await watchStatements(fixture.db.name)
  await expect(late()).rejects.toThrow(ScopeEndedError)
  expect(await forgotten).toBeInstanceOf(ScopeEndedError)
  expect(await log.texts()).toEqual([])
  expect(await stored()).toEqual([])
})

test('a caught failure does not pass as a commit', async () => {
  const { writer, transaction } = scopes()
  await expect(
    transaction(async () => {
      await insert(writer, 1)
      await writer.query('SELECT 1/0').catch(() => undefined)
    }),
  ).rejects.toThrow(TransactionRolledBackError)
  expect(await stored()).toEqual([])
})

test('isolation, read only and settings reach the server, for this transaction only', async () => {
  const { writer, transaction } = scopes()
  const facts = `SELECT current_setting('transaction_isolation') AS isolation,
    current_setting('transaction_read_only') AS read_only, current_setting('app.tenant', true) AS tenant`
  const inside = await transaction(() => writer.query(facts), {
    isolation: 'serializable',
    readOnly: true,
    settings: { 'app.tenant': "4'2" },
  })
  expect(inside.rows[0]).toEqual({ isolation: 'serializable', read_only: 'on', tenant: "4'2" })
  expect((await writer.query(facts)).rows[0]).toMatchObject({
    isolation: 'read committed',
    read_only: 'off',
  })
  await expect(transaction(() => insert(writer, 1), { readOnly: true })).rejects.toMatchObject({
    code: '25006',
  })
  await expect(transaction(async () => 1, { isolation: 'chaos' as never })).rejects.toThrow(
    InvalidArgumentError,
  )
  await expect(
    transaction(async () => 1, { settings: { transaction_read_only: 'off' } }),
  ).rejects.toThrow(InvalidArgumentError)
})

test('a misspelt option is an error, and nothing is sent', async () => {
  const { transaction, snapshot, writer } = scopes()
  const log = await watchStatements(fixture.db.name)
  const write = (): Promise<unknown> => insert(writer, 1)
  await expect(transaction(write, { readonly: true } as never)).rejects.toThrow(
    'transaction() has no option "readonly". There are: isolation, readOnly',
  )
  await expect(transaction(write, 5 as never)).rejects.toThrow(InvalidArgumentError)
  await expect(snapshot(write, { setings: {} } as never)).rejects.toThrow(InvalidArgumentError)
  expect(await log.texts()).toEqual([])
})

test('a transaction whose time was over does not commit, even when its function succeeds afterwards', async () => {
  const { writer, transaction } = scopes()
  let goOn = (): void => {}
  const held = new Promise<void>((resolve) => (goOn = resolve))
  const late = transaction(
    async () => {
      await insert(writer, 1)
      await held
    },
    { timeoutMs: 200 },
  )
  await expect(late).rejects.toThrow(DeadlineExceededError)
  goOn()
  await expect
    .poll(async () => {
      const { rows } = await fixture.db.admin.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`,
      )
      return rows.length
    })
    .toBe(0)
  expect(await stored()).toEqual([])
})

test('timeoutMs ends the whole transaction and cancels the statement on the server', async () => {
  const { writer, transaction } = scopes()
  await expect(
    transaction(
      async () => {
        await insert(writer, 1)
        await writer.query('SELECT pg_sleep(60)')
      },
      { timeoutMs: 150 },
    ),
  ).rejects.toThrow(DeadlineExceededError)
  await expect
    .poll(
      async () =>
        (
          await fixture.db.admin.query(
            "SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()",
          )
        ).rowCount,
    )
    .toBe(0)
  expect(await stored()).toEqual([])
})

test('cursors and streams leave the connection free between two pages', async () => {
  const { writer, reader, transaction } = scopes()
  await transaction(async () => {
    await writer.query('INSERT INTO posts SELECT generate_series(1, 250)')
    const client = await reader.connect()
    const cursor = client.query(
      new Cursor<{ id: number }>('SELECT id FROM posts WHERE id > $1 ORDER BY id', [10]),
    )
    expect((await cursor.read(3)).map(({ id }) => id)).toEqual([11, 12, 13])
    await writer.query('INSERT INTO posts VALUES (1000)')
    expect(await cursor.read(1000)).toHaveLength(237)
    await cursor.close()
    client.release()

    const streaming = await writer.connect()
    const ids: number[] = []
    for await (const { id } of streaming.query(
      new QueryStream('SELECT id FROM posts ORDER BY id', [], { batchSize: 60 }),
    )) {
      if (id % 100 === 0) await writer.query(`INSERT INTO posts VALUES (${2000 + id})`)
      ids.push(id)
    }
    streaming.release()
    expect(ids).toHaveLength(251)

    const pages: number[] = []
    for await (const rows of reader[PAGES]({ text: 'SELECT id FROM posts' }, { pageSize: 100 })) {
      pages.push(rows.length)
      await writer.query('SELECT 1')
    }
    expect(pages).toEqual([100, 100, 54])
  })
  expect(await stored()).toHaveLength(254)
})

test('a cursor with an error tells it and the transaction reports it', async () => {
  const { writer, transaction } = scopes()
  await expect(
    transaction(async () => {
      const client = await writer.connect()
      const cursor = client.query(new Cursor('SELECT * FROM nowhere'))
      await expect(cursor.read(1)).rejects.toMatchObject({ code: '42P01' })
      client.release()
      await insert(writer, 1)
    }),
  ).rejects.toMatchObject({ code: '25P02' })
})

test('callbacks run in the scope of their caller', async () => {
  const { writer, transaction } = scopes()
  const pid = 'SELECT pg_backend_pid() AS pid'
  await transaction(async () => {
    const own = (await writer.query(pid)).rows[0].pid
    const fromCallback = await new Promise((resolve, reject) => {
      writer.query('SELECT 1', () => {
        writer.query(pid).then(({ rows }) => resolve(rows[0].pid), reject)
      })
    })
    expect(fromCallback).toBe(own)
  })
})

const insert = (on: { query(text: string): Promise<{ rowCount: number | null }> }, id: number) =>
  on.query(`INSERT INTO posts VALUES (${id})`)

const scopes = () => {
  const cluster = fixture.open()
  return {
    writer: cluster.writer,
    reader: cluster.reader,
    transaction: cluster.transaction.bind(cluster),
    snapshot: cluster.snapshot.bind(cluster),
  }
}
