import { beforeAll, expect, test } from 'vitest'
import {
  InvalidArgumentError,
  InvalidValueError,
  RecordNotFoundError,
} from '../../../src/errors.ts'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import type { ReadQuery } from '../../../src/models/read-query.ts'
import { StrictReadBase } from '../../../src/models/strict-read-base.ts'
import { useCluster } from '../../support/cluster.ts'
import { watchStatements } from '../../support/servers.ts'

const fixture = useCluster(`
  CREATE SCHEMA app;
  CREATE TABLE app.posts (
    id int PRIMARY KEY, title text NOT NULL, author text, tags text[], meta jsonb, raw json,
    views int NOT NULL DEFAULT 0, price numeric(20,2), score float8, created_at timestamptz
  );
  INSERT INTO app.posts
  SELECT n, 'title ' || n, CASE WHEN n % 3 = 0 THEN NULL ELSE 'author ' || n % 3 END, ARRAY['a', 'b' || n],
    CASE n WHEN 1 THEN '"text"'::jsonb WHEN 2 THEN '["x", null]' WHEN 3 THEN 'null' WHEN 4 THEN NULL ELSE '{"n": 1}' END,
    '{"a": 1}', n, 9007199254740993.25, n / 2.0,
    CASE WHEN n % 4 = 0 THEN NULL ELSE '2024-01-01T00:00:00Z'::timestamptz + (n / 2) * interval '1 microsecond' END
  FROM generate_series(1, 25) n;
  CREATE TABLE pairs (a int, b text, value text, PRIMARY KEY (a, b));
  INSERT INTO pairs VALUES (1, 'x', 'one'), (1, 'y', 'two');
  CREATE TABLE "od?d" ("na""me?" text PRIMARY KEY, "reload" text, "lock" text);
  INSERT INTO "od?d" VALUES ('it''s', 'r', 'l');
`)

let cluster: Cluster

class PostQuery extends StrictReadBase {
  static override tableName = 'app.posts'
  static override cluster = () => cluster
  declare id: number
  declare title: string
  declare author: string | null
  declare tags: string[]
  declare meta: unknown
  declare raw: unknown
  declare views: number
  declare price: string
  declare score: number
  declare created_at: Date | null
}

class PricedQuery extends StrictReadBase {
  static override tableName = 'app.posts'
  static override columns = { price: 'number', views: 'number' } as const
  static override cluster = () => cluster
  id!: number
  price!: number
  views!: number
}

class PairQuery extends StrictReadBase {
  static override tableName = 'pairs'
  static override primaryKey = ['a', 'b'] as const
  static override cluster = () => cluster
  declare a: number
  declare b: string
  declare value: string
}

beforeAll(() => {
  cluster = fixture.open()
})

const ids = (rows: readonly { id: number }[]): number[] => rows.map(({ id }) => id)

test('rows are instances, filled after construction', async () => {
  const post = await PostQuery.find(7)
  expect(post).toBeInstanceOf(PostQuery)
  expect(post).toMatchObject({
    id: 7,
    title: 'title 7',
    author: 'author 1',
    tags: ['a', 'b7'],
    meta: { n: 1 },
    views: 7,
  })
  const priced = await PricedQuery.find(7)
  expect(priced).toBeInstanceOf(PricedQuery)
  expect(priced.price).toBe(Number('9007199254740993.25'))
})

test('every read runs on the replicas, in turn', async () => {
  await PostQuery.where({ title: 'title 1' })
  const log = await watchStatements(fixture.db.name)
  for (const id of [1, 2, 3, 4, 5, 6]) await PostQuery.find(id)
  for (const id of [1, 2, 3, 4]) await PostQuery.where({ id }).pluck('title')
  expect(await log.texts('master')).toEqual([])
  const isRead = (text: string): boolean => text.includes('"posts"')
  expect((await log.texts('replica1')).filter(isRead)).toHaveLength(5)
  expect((await log.texts('replica2')).filter(isRead)).toHaveLength(5)
})

test('find rejects, findBy and first give null', async () => {
  await expect(PostQuery.find(99)).rejects.toThrow(RecordNotFoundError)
  await expect(PostQuery.find('1; drop table posts' as never)).rejects.toThrow(InvalidValueError)
  await expect(PostQuery.where({ title: 'title 1' }).find(2)).rejects.toThrow(RecordNotFoundError)
  expect(await PostQuery.findBy({ title: 'none' })).toBeNull()
  expect(await PostQuery.where({ title: 'none' }).first()).toBeNull()
  expect((await PostQuery.findBy({ title: 'title 3' }))?.id).toBe(3)
  expect(await PairQuery.find({ a: 1, b: 'y' })).toMatchObject({ value: 'two' })
})

test('a value that is no id carries table and column, and no data', async () => {
  const error = await PostQuery.find('secret' as never).catch((error: unknown) => error)
  expect(error).toMatchObject({ sqlState: '22P02', table: 'app.posts', column: 'id' })
  expect((error as Error).message).not.toContain('secret')
})

test('conditions: null, arrays, arrays with null, arrays of none', async () => {
  expect(ids(await PostQuery.where({ author: null }).orderBy('id'))).toEqual([
    3, 6, 9, 12, 15, 18, 21, 24,
  ])
  expect(ids(await PostQuery.where({ id: [3, 1, 99] }).orderBy('id'))).toEqual([1, 3])
  expect(await PostQuery.where({ author: ['author 1', null] }).count()).toBe(17)
  expect(await PostQuery.where({ author: [null] }).count()).toBe(8)
  expect(await PostQuery.where({ id: [] }).count()).toBe(0)
  expect(
    await PostQuery.where({ author: 'author 1' })
      .where({ id: [1, 2] })
      .pluck('id'),
  ).toEqual([1])
  expect(await PostQuery.where({ tags: ['a', 'b4'] }).pluck('id')).toEqual([4])
})

test('conditions on json columns compare values', async () => {
  expect(await PostQuery.where({ meta: 'text' }).pluck('id')).toEqual([1])
  expect(await PostQuery.where({ meta: ['x', null] }).pluck('id')).toEqual([2])
  expect(await PostQuery.where({ meta: null }).pluck('id')).toEqual([4])
  expect(await PostQuery.where({ raw: { a: 1 } }).count()).toBe(25)
})

test('order, limit, offset, select, first and last', async () => {
  expect(ids(await PostQuery.orderBy('id', 'desc').limit(3))).toEqual([25, 24, 23])
  expect(ids(await PostQuery.orderBy('id').offset(22))).toEqual([23, 24, 25])
  expect((await PostQuery.first())?.id).toBe(1)
  expect(ids(await PostQuery.first(2))).toEqual([1, 2])
  expect((await PostQuery.last())?.id).toBe(25)
  expect(ids(await PostQuery.last(2))).toEqual([24, 25])
  expect(ids(await PostQuery.orderBy('id').limit(5).offset(2).last(2))).toEqual([6, 7])
  expect(ids(await PostQuery.orderBy('id').limit(1).first(5))).toEqual([1])
  const [post] = await PostQuery.select('title').where({ id: 1 })
  expect({ ...post }).toEqual({ title: 'title 1' })
  expect(await PostQuery.orderBy('id').limit(2).pluck('id', 'title')).toEqual([
    [1, 'title 1'],
    [2, 'title 2'],
  ])
  expect(await PostQuery.all()).toHaveLength(25)
})

test('numbers: count, exact sums, kinds', async () => {
  expect(await PostQuery.count()).toBe(25)
  expect(await PostQuery.limit(3).count()).toBe(3)
  expect(await PostQuery.sum('views')).toBe('325')
  expect(await PostQuery.where({ id: [1, 2] }).sum('price')).toBe('18014398509481986.50')
  expect(await PostQuery.average('views')).toBe('13.0000000000000000')
  expect(await PostQuery.sum('score')).toBe(162.5)
  expect(await PostQuery.where({ id: 99 }).sum('price')).toBe('0')
  expect(await PostQuery.where({ id: 99 }).sum('score')).toBe(0)
  expect(await PostQuery.where({ id: 99 }).average('score')).toBeNull()
  expect(await PricedQuery.sum('views')).toBe(325)
  expect(await PricedQuery.average('views')).toBe(13)
  expect(await PricedQuery.limit(1).pluck('price')).toEqual([Number('9007199254740993.25')])
  expect(await PostQuery.minimum('title')).toBe('title 1')
  expect(await PostQuery.where({ id: [2, 3] }).maximum('views')).toBe(3)
  expect(await PostQuery.exists()).toBe(true)
  expect(await PostQuery.exists({ id: 99 })).toBe(false)
})

const allPages = async (query: ReadQuery<typeof PostQuery>, limit: number): Promise<number[]> => {
  const found: number[] = []
  let after: string | null = null
  do {
    const page = await query.paginate({ after, limit })
    expect(page.rows.length).toBeGreaterThan(0)
    found.push(...ids(page.rows))
    after = page.next
  } while (after !== null)
  return found
}

test.each(['asc', 'desc'] as const)(
  'paginate by a column with ties, nulls and microseconds, %s',
  async (direction) => {
    const order = direction === 'asc' ? 'created_at, id' : 'created_at DESC, id DESC'
    const { rows } = await fixture.db.admin.query<{ id: number }>(
      `SELECT id FROM app.posts ORDER BY ${order}`,
    )
    for (const limit of [1, 4, 25, 30])
      expect(await allPages(PostQuery.orderBy('created_at', direction), limit)).toEqual(ids(rows))
  },
)

test('paginate with conditions, mixed directions, composite keys and no order', async () => {
  expect(await allPages(PostQuery.all(), 7)).toEqual(
    Array.from({ length: 25 }, (_, index) => index + 1),
  )
  const { rows } = await fixture.db.admin.query<{ id: number }>(
    `SELECT id FROM app.posts WHERE author IS NOT NULL ORDER BY author DESC, created_at ASC, id ASC`,
  )
  const query = PostQuery.where({ author: ['author 1', 'author 2'] })
    .orderBy('author', 'desc')
    .orderBy('created_at')
  expect(await allPages(query, 3)).toEqual(ids(rows))
  const first = await PairQuery.orderBy('a').paginate({ limit: 1 })
  expect(first.rows[0]).toEqual(expect.objectContaining({ b: 'x' }))
  expect(Object.keys(first.rows[0]!)).toEqual(['a', 'b', 'value'])
  const second = await PairQuery.orderBy('a').paginate({ limit: 1, after: first.next })
  expect(second).toMatchObject({ rows: [{ b: 'y' }], next: null })
  await expect(PairQuery.orderBy('b').paginate({ limit: 1, after: first.next })).rejects.toThrow(
    InvalidArgumentError,
  )
  await expect(PairQuery.paginate({ after: 'bm90IGpzb24' })).rejects.toThrow(InvalidArgumentError)
})

test('streams and batches hold one page', async () => {
  const streamed: number[] = []
  for await (const post of PostQuery.orderBy('id').stream({ pageSize: 4 })) {
    expect(post).toBeInstanceOf(PostQuery)
    streamed.push(post.id)
  }
  expect(streamed).toEqual(Array.from({ length: 25 }, (_, index) => index + 1))
  const sizes: number[] = []
  for await (const batch of PostQuery.where({ author: 'author 1' }).inBatches({ size: 4 }))
    sizes.push(batch.length)
  expect(sizes).toEqual([4, 4, 1])
  for await (const post of PostQuery.stream({ pageSize: 2 })) {
    expect(post.id).toBeGreaterThan(0)
    break
  }
  await expect(
    PostQuery.where({ id: 'x' as never })
      .stream()
      .next(),
  ).rejects.toThrow(InvalidValueError)
})

test('query gives Knex a select builder with the conditions so far', async () => {
  expect(
    await PostQuery.query((qb) => qb.where('id', '<', 3).orderBy('id').select('id', 'title')),
  ).toEqual([
    { id: 1, title: 'title 1' },
    { id: 2, title: 'title 2' },
  ])
  expect(
    await PostQuery.where({ id: [1, 2, 3] })
      .orderBy('id', 'desc')
      .limit(2)
      .query((qb) => qb.select('id')),
  ).toEqual([{ id: 3 }, { id: 2 }])
  expect(
    await PostQuery.where({ author: null }).query(
      (qb) => void qb.whereRaw('id > ?', [20]).orWhere('id', 1),
    ),
  ).toHaveLength(3)
  expect(await PostQuery.query((qb) => qb.where('id', 5).first('id'))).toEqual({ id: 5 })
  expect(await PostQuery.query((qb) => qb.where('id', '<', 3).orderBy('id').pluck('id'))).toEqual([
    1, 2,
  ])
  const counted = await PostQuery.query((qb) =>
    qb
      .with('some', (some) => some.select('id').from('app.posts').where('id', '<', 9))
      .from('some')
      .count('* as n'),
  )
  expect(counted).toEqual([{ n: '8' }])
})

test('sql: every value is a binding', async () => {
  const hostile = `'; drop table app.posts; --`
  expect(await PostQuery.sql<{ t: string }>`select ${hostile}::text as t`).toEqual([{ t: hostile }])
  const posts = await PostQuery.with({ using: 'replica2' })
    .sql`select * from app.posts where id = any(${[1, 2]}) order by id`
  expect(posts.map(({ title }) => title)).toEqual(['title 1', 'title 2'])
  await expect(PostQuery.where({ id: 1 }).sql`select 1`).rejects.toThrow(InvalidArgumentError)
})

test('with() says where', async () => {
  const rows = await PostQuery.with({ using: 'replica2' }).query((qb) =>
    qb.clear('where').select(qb.client.raw('inet_server_port() as port')).limit(1),
  )
  expect(fixture.nameOf((rows as unknown as { port: number }[])[0])).toBe('replica2')
  const [who] = await PostQuery.with({ using: 'primary' }).sql<{
    replica: boolean
  }>`SELECT pg_is_in_recovery() AS replica`
  expect(who?.replica).toBe(false)
  await expect(
    PostQuery.with({ signal: AbortSignal.abort(new Error('enough')) }).all(),
  ).rejects.toThrow('enough')
})

test('reload', async () => {
  const post = await PostQuery.find(20)
  await fixture.db.admin.query(`UPDATE app.posts SET title = 'newer' WHERE id = 20`)
  await fixture.db.replicated()
  expect(await post.reload()).toBe(post)
  expect(post.title).toBe('newer')
})

test('unknown columns name the nearest; a new column is found', async () => {
  await expect(PostQuery.where({ titel: 'x' } as never)).rejects.toThrow(
    'no column "titel". Did you mean title?',
  )
  await expect(PostQuery.orderBy('id"; drop table app.posts; --' as never)).rejects.toThrow(
    InvalidArgumentError,
  )
  await expect(PostQuery.orderBy('id', 'desc; drop table app.posts' as never)).rejects.toThrow(
    InvalidArgumentError,
  )
  await expect(PricedQuery.where({ 'id" = 1 or 1=1 --': 1 } as never)).rejects.toThrow(
    InvalidArgumentError,
  )
  await PairQuery.where({ a: 1 })
  await fixture.db.admin.query('ALTER TABLE pairs ADD COLUMN extra int DEFAULT 5')
  await fixture.db.replicated()
  expect(await PairQuery.where({ extra: 5 } as never).count()).toBe(2)
})

test('a column added later does not break a prepared find', async () => {
  for (let turn = 0; turn < 4; turn++) await PairQuery.find({ a: 1, b: 'x' })
  await fixture.db.admin.query('ALTER TABLE pairs ADD COLUMN later int DEFAULT 6')
  await fixture.db.replicated()
  for (let turn = 0; turn < 4; turn++)
    expect(await PairQuery.find({ a: 1, b: 'x' })).toMatchObject({ later: 6 })
})

test('the catalogue is asked once, also by concurrent first uses', async () => {
  class Other extends PostQuery {}
  const log = await watchStatements(fixture.db.name)
  await Promise.all([1, 2, 3, 4].map((id) => Other.where({ id }).count()))
  const texts = await log.texts()
  expect(texts.filter((text) => text.includes('pg_attribute'))).toHaveLength(1)
  expect(texts.filter((text) => text.includes('"posts"')).length).toBe(4)
})

test('odd names are quoted, and columns never replace methods', async () => {
  class Odd extends StrictReadBase {
    static override tableName = 'od?d'
    static override primaryKey = 'na"me?'
    static override cluster = () => cluster
  }
  const row = await Odd.find("it's")
  expect(row).toMatchObject({ 'na"me?': "it's", lock: 'l' })
  await expect(row.reload()).resolves.toBe(row)
  expect(await Odd.where({ 'na"me?': "it's" } as never).query((qb) => qb.select())).toHaveLength(1)
  expect((await Odd.orderBy('na"me?' as never).paginate({ limit: 1 })).rows).toHaveLength(1)
})
