import { beforeEach, expect, onTestFinished, test } from 'vitest'
import {
  DeadlineExceededError,
  ScopeNestingError,
  StrictReadModelError,
  TransactionRolledBackError,
} from '../../../src/errors.ts'
import { EXECUTE, PAGES } from '../../../src/cluster/statement.ts'
import { useCluster, WHO } from '../../support/cluster.ts'
import { giveUpWhenSent, openLateProxy } from '../../support/late-proxy.ts'
import pg from 'pg'

const fixture = useCluster('CREATE TABLE posts (id int PRIMARY KEY, title text)')

beforeEach(() => fixture.db.admin.query('TRUNCATE posts'))

const stored = async (): Promise<number[]> =>
  (await fixture.db.admin.query<{ id: number }>('SELECT id FROM posts ORDER BY id')).rows.map(
    ({ id }) => id,
  )

const boom = new Error('boom')

test('snapshot: one replica, one state; no writes and no transactions inside', async () => {
  const { writer, reader, transaction, snapshot } = scopes()
  await snapshot(async () => {
    const first = await reader.query(WHO)
    expect(first.rows[0].replica).toBe(true)
    await fixture.db.admin.query('INSERT INTO posts VALUES (1)')
    await fixture.db.replicated()
    expect((await reader.query('SELECT id FROM posts')).rows).toEqual([])
    expect((await reader.query(WHO)).rows).toEqual(first.rows)
    await expect(writer.query('INSERT INTO posts VALUES (2)')).rejects.toThrow(ScopeNestingError)
    await expect(transaction(async () => 1)).rejects.toThrow(ScopeNestingError)
    expect(await snapshot(async () => (await reader.query(WHO)).rows)).toEqual(first.rows)
  })
  expect((await reader.query('SELECT id FROM posts')).rows).toEqual([{ id: 1 }])
  expect(
    (
      await snapshot(() => reader.query("SELECT current_setting('app.tenant') AS tenant"), {
        settings: { 'app.tenant': '7' },
      })
    ).rows,
  ).toEqual([{ tenant: '7' }])
})

test('snapshot inside transaction joins it only where there is one state for all reads', async () => {
  const { writer, reader, transaction, snapshot } = scopes()
  await expect(transaction(() => snapshot(async () => 1))).rejects.toThrow(ScopeNestingError)
  const rows = await transaction(
    async () => {
      await insert(writer, 1)
      return snapshot(async () => (await reader.query('SELECT id FROM posts')).rows)
    },
    { isolation: 'repeatable read' },
  )
  expect(rows).toEqual([{ id: 1 }])
})

test('a deadline inside a transaction ends the statement, waiting or running, and only that', async () => {
  const { writer, transaction } = scopes()
  await transaction(async () => {
    await expect(
      transaction(() => writer.query('SELECT pg_sleep(60)'), { timeoutMs: 100 }),
    ).rejects.toThrow(DeadlineExceededError)
    const slow = writer.query("SELECT pg_sleep(1.5), 'slow' AS answer")
    const hurried = writer[EXECUTE]({ text: 'INSERT INTO posts VALUES (1)' }, { timeoutMs: 50 })
    await expect(hurried).rejects.toThrow(DeadlineExceededError)
    expect((await slow).rows[0].answer).toBe('slow')
    await insert(writer, 2)
  })
  expect(await stored()).toEqual([2])
})

test('statements inside scopes are published too', async () => {
  const cluster = fixture.open()
  const events: string[] = []
  cluster.events.on('query', ({ node, reason, outcome }) =>
    events.push(`${node} ${reason} ${outcome}`),
  )
  await cluster.transaction(async () => {
    await cluster.writer.query('SELECT 1')
    await cluster.reader.query('SELECT 1/0').catch(() => undefined)
  })
  expect(events).toEqual(['master transaction ok', 'master transaction error'])
})

test('settings of a nested scope end with it', async () => {
  const { writer, reader, transaction, snapshot } = scopes()
  const tenant = async () =>
    (
      await writer.query(
        "SELECT current_setting('app.tenant', true) AS tenant, current_setting('work_mem') AS memory",
      )
    ).rows[0]
  await transaction(
    async () => {
      const outer = await tenant()
      const inner = await transaction(tenant, { settings: { 'app.tenant': 'b', work_mem: '1MB' } })
      expect(inner).toEqual({ tenant: 'b', memory: '1MB' })
      expect(await tenant()).toEqual(outer)
      const seen = await snapshot(
        async () =>
          (await reader.query("SELECT current_setting('app.tenant') AS tenant")).rows[0].tenant,
        { settings: { 'app.tenant': 'c' } },
      )
      expect(seen).toBe('c')
      expect(await tenant()).toEqual(outer)
    },
    { isolation: 'repeatable read', settings: { 'app.tenant': 'a' } },
  )
})

test('a nested transaction that waits beyond its time is given up and leaves no trace', async () => {
  const { writer, transaction } = scopes()
  await transaction(async () => {
    const slow = writer.query('SELECT pg_sleep(1.5)')
    await expect(transaction(() => insert(writer, 1), { timeoutMs: 50 })).rejects.toThrow(
      DeadlineExceededError,
    )
    await slow
    await insert(writer, 2)
  })
  expect(await stored()).toEqual([2])
})

test('what is only sent when it is awaited stays inside, also when it is returned', async () => {
  const { writer, transaction } = scopes()
  const lazy = (id: number): PromiseLike<unknown> => ({
    // oxlint-disable-next-line unicorn/no-thenable -- a query of a model is one
    then: (resolve, reject) => insert(writer, id).then(resolve, reject),
  })
  await expect(
    transaction(async () => {
      await transaction(() => lazy(1))
      throw boom
    }),
  ).rejects.toBe(boom)
  expect(await stored()).toEqual([])
})

test('a late cancel never hits the statement after the one that it means', async () => {
  const { writer, transaction } = scopes()
  for (let round = 0; round < 15; round++) {
    await transaction(async () => {
      const idle = transaction(() => new Promise((resolve) => setTimeout(resolve, 60)), {
        timeoutMs: 10,
      })
      await expect(idle).rejects.toThrow(DeadlineExceededError)
      expect((await writer.query('SELECT 1 AS one FROM pg_sleep(0.005)')).rows).toEqual([
        { one: 1 },
      ])
      const busy = transaction(() => writer.query('SELECT pg_sleep(60)'), { timeoutMs: 10 })
      await expect(busy).rejects.toThrow(DeadlineExceededError)
      expect((await writer.query('SELECT 2 AS two FROM pg_sleep(0.005)')).rows).toEqual([
        { two: 2 },
      ])
    })
  }
})

test('a cancel that overtakes its statement is repeated until the statement ends', async () => {
  const proxy = await openLateProxy(fixture.db.config.master)
  onTestFinished(() => proxy.close())
  const cluster = fixture.open({}, (config) => ({
    ...config,
    master: { ...config.master, port: proxy.port },
  }))
  await cluster.transaction(async () => {
    const text = 'SELECT pg_sleep(600)'
    const calls = [
      (timeoutMs: number) => cluster.transaction(() => cluster.writer.query(text), { timeoutMs }),
      (timeoutMs: number) => cluster.reader[EXECUTE]({ text }, { timeoutMs }),
    ]
    for (const call of calls) {
      const before = proxy.cancels
      const error = await giveUpWhenSent(proxy, 'pg_sleep', call)
      expect(error).toBeInstanceOf(DeadlineExceededError)
      expect((await cluster.writer.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      expect(proxy.cancels).toBeGreaterThan(before + 1)
    }
  })
})

test('a read-only transaction cannot be made a writing one through the reader', async () => {
  const { reader, transaction } = scopes()
  const attacks = [
    'SET TRANSACTION READ WRITE',
    'SET LOCAL transaction_read_only = off',
    'COMMIT',
    'BEGIN',
    'ROLLBACK',
  ]
  for (const attack of attacks) {
    const read = (): Promise<unknown> => reader[EXECUTE]({ text: attack })
    await transaction(
      async () => {
        await expect(read()).rejects.toThrow(StrictReadModelError)
        await expect(reader[EXECUTE]({ text: 'INSERT INTO posts VALUES (1)' })).rejects.toThrow(
          StrictReadModelError,
        )
      },
      { readOnly: true },
    ).catch((error: unknown) => expect(error).toBeInstanceOf(TransactionRolledBackError))
    await transaction(async () => {
      await transaction(
        async () => {
          await expect(read()).rejects.toThrow(StrictReadModelError)
        },
        { readOnly: true },
      )
      await expect(read()).rejects.toThrow(StrictReadModelError)
    })
  }
  expect(await stored()).toEqual([])
})

test('query objects may not touch the transaction', async () => {
  const { writer, reader, transaction } = scopes()
  await expect(
    transaction(async () => {
      await insert(writer, 1)
      const client = await writer.connect()
      await expect(ended(client.query(new pg.Query('COMMIT')))).rejects.toThrow(ScopeNestingError)
      client.release()
      const reading = await reader.connect()
      await expect(
        ended(reading.query(new pg.Query('commit; insert into posts values (2)'))),
      ).rejects.toThrow(StrictReadModelError)
      reading.release()
      throw boom
    }),
  ).rejects.toBe(boom)
  expect(await stored()).toEqual([])
})

test('a read leaves nothing behind in the transaction', async () => {
  const { writer, reader, transaction } = scopes()
  await transaction(async () => {
    await reader.query("SELECT set_config('app.tenant', 'other', true)")
    const { rows } = await writer.query("SELECT current_setting('app.tenant', true) AS tenant")
    expect(rows[0].tenant).not.toBe('other')
  })
})

test('a stream of the outer transaction can be advanced inside a nested one', async () => {
  const { writer, reader, transaction } = scopes()
  await transaction(async () => {
    await writer.query('INSERT INTO posts SELECT generate_series(1, 10)')
    const pages = reader[PAGES]({ text: 'SELECT id FROM posts ORDER BY id' }, { pageSize: 4 })
    expect((await pages.next()).value).toHaveLength(4)
    await transaction(async () => {
      expect((await pages.next()).value).toHaveLength(4)
    })
    expect((await pages.next()).value).toHaveLength(2)
    expect((await pages.next()).done).toBe(true)
  })
})

test('an abort between two pages ends the stream', async () => {
  const { reader } = scopes()
  const controller = new AbortController()
  const pages = reader[PAGES](
    { text: 'SELECT generate_series(1, 100)' },
    { pageSize: 10, signal: controller.signal },
  )
  await pages.next()
  controller.abort(new Error('enough'))
  await expect(pages.next()).rejects.toThrow('enough')
})

test('nobody gets a connection on which a transaction is open', async () => {
  const cluster = fixture.open()
  await cluster.using('replica1', async () => {
    await cluster.reader[EXECUTE]({ text: 'BEGIN ISOLATION LEVEL REPEATABLE READ' })
    for (let turn = 0; turn < 3; turn++) {
      const { rows } = await cluster.reader[EXECUTE]({
        text: 'SELECT now() = statement_timestamp() AS alone',
      })
      expect(rows).toEqual([{ alone: true }])
    }
    const failing = cluster.snapshot(async () => 1, { settings: { 'no such parameter': '1' } })
    await expect(failing).rejects.toMatchObject({ code: expect.stringMatching(/^42/) })
    expect((await cluster.reader[EXECUTE]({ text: 'SELECT 1 AS one' })).rows).toEqual([{ one: 1 }])
  })
})

test('a failure that is caught in a nested transaction is called what it is', async () => {
  const { writer, transaction } = scopes()
  await transaction(async () => {
    const nested = transaction(async () => {
      await writer.query('SELECT 1/0').catch(() => undefined)
    })
    await expect(nested).rejects.toThrow(TransactionRolledBackError)
    await insert(writer, 1)
  })
  expect(await stored()).toEqual([1])
})

const ended = (query: pg.Query): Promise<void> =>
  new Promise((resolve, reject) => query.on('end', () => resolve()).on('error', reject))

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
