import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { DeadlineExceededError, InvalidArgumentError } from '../../../src/errors.ts'
import { StrictReadBase } from '../../../src/models/strict-read-base.ts'
import { fakeCluster, isCatalogue, type Answer, type FakeCluster } from './fake-cluster.ts'

const TYPES = {
  id: 'int4',
  title: 'text',
  tags: 'text[]',
  meta: 'jsonb',
  created_at: 'timestamptz',
}

const modelOn = (cluster: FakeCluster) =>
  class PostQuery extends StrictReadBase {
    static override tableName = 'posts'
    static override cluster = () => cluster
    declare id: number
    declare title: string
    declare meta: unknown
    declare created_at: Date | null
  }

const setUp = (answer?: Answer) => {
  const cluster = fakeCluster(TYPES, answer)
  return { cluster, PostQuery: modelOn(cluster) }
}

test('nothing that reads with a model needs Knex, until query() does', async () => {
  const loaded = (): boolean =>
    Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('/knex/'))
  const { PostQuery } = setUp(() => [{ id: 1 }])
  await PostQuery.find(1)
  await PostQuery.where({ title: 'x' }).orderBy('id').paginate()
  expect(loaded()).toBe(false)
  await PostQuery.query((qb) => qb.limit(1))
  expect(loaded()).toBe(true)
})

test('find sends one text under one name, always', async () => {
  const { cluster, PostQuery } = setUp(() => [{ id: 1, title: 'x' }])
  await PostQuery.find(1)
  await PostQuery.with({ maxLagMs: 5 }).find(2)
  const [first, second] = cluster.sent
  expect(first).toMatchObject({
    side: 'reader',
    statement: { text: 'select * from "posts" where "id" = $1', values: [1] },
  })
  expect(first?.statement.name).toMatch(/^segregato_/)
  expect(second?.statement.text).toBe(first?.statement.text)
  expect(second).toMatchObject({
    statement: { name: first?.statement.name },
    options: { maxLagMs: 5 },
  })
})

test('a query never changes, and sends once each time it is awaited', async () => {
  const { cluster, PostQuery } = setUp()
  const all = PostQuery.all()
  const some = all.where({ title: 'a' })
  const few = some.orderBy('id', 'desc').limit(2).offset(1).select('id')
  expect(cluster.sent).toEqual([])
  await all
  await some
  await few
  await few
  expect(cluster.texts()).toEqual([
    'select * from "posts"',
    'select * from "posts" where "title" = $1',
    'select "id" from "posts" where "title" = $1 order by "id" desc limit $2 offset $3',
    'select "id" from "posts" where "title" = $1 order by "id" desc limit $2 offset $3',
  ])
})

test('conditions are copied when they are given', async () => {
  const { cluster, PostQuery } = setUp()
  const where = { id: [1, 2] }
  const query = PostQuery.where(where)
  where.id.push(3)
  await query
  expect(cluster.sent.at(-1)?.statement.values).toEqual([[1, 2]])
})

test('no read says of itself that it cannot write: the server decides', async () => {
  const { cluster, PostQuery } = setUp()
  await PostQuery.where({ id: 1 }).count()
  await PostQuery.query((qb) => qb.where('id', 1))
  await PostQuery.sql`select ${1}`
  expect(new Set(cluster.sent.flatMap(({ statement }) => Object.keys(statement)))).toEqual(
    new Set(['text', 'values', 'table']),
  )
  expect(cluster.sent.at(-1)?.statement).toEqual({ text: 'select $1', values: [1] })
})

test('what Knex throws is a mistake in the query', async () => {
  const { cluster, PostQuery } = setUp()
  // oxlint-disable-next-line typescript/no-explicit-any -- what JavaScript callers may do
  const builds: Record<string, (qb: any) => unknown> = {
    'at once': (qb) => qb.transacting(null),
    'a TypeError': (qb) => qb.whereIn(null),
    'in a function given to it': (qb) => qb.modify((inner: typeof qb) => inner.comment(5)),
    'in a function called later': (qb) => qb.where((inner: typeof qb) => inner.transacting(null)),
    'in one of several': (qb) => qb.union([(inner: typeof qb) => inner.transacting(null)]),
    'in a new builder': (qb) => qb.client.queryBuilder().transacting(null),
    'when it is compiled': (qb) => qb.whereRaw('id = ? and id = ?', [1]),
  }
  for (const [name, build] of Object.entries(builds)) {
    const error: unknown = await PostQuery.query(build).catch((reason: unknown) => reason)
    expect(error, name).toBeInstanceOf(InvalidArgumentError)
    expect((error as Error).cause, name).toBeInstanceOf(Error)
    expect((error as Error).cause, name).not.toBeInstanceOf(InvalidArgumentError)
  }
  expect(cluster.texts()).toEqual([])
})

test('what the function given to query() throws itself passes unchanged', async () => {
  const { cluster, PostQuery } = setUp()
  const mine = new TypeError('mine')
  const fail = (): never => {
    throw mine
  }
  // oxlint-disable-next-line typescript/no-explicit-any -- what JavaScript callers may do
  const builds: Record<string, (qb: any) => unknown> = {
    'at once': fail,
    'in modify': (qb) => qb.modify(fail),
    'in a nested condition': (qb) => qb.where(fail),
    'two deep': (qb) => qb.where((inner: typeof qb) => inner.whereExists(fail)),
    'in a join': (qb) => qb.join('posts', fail),
    'in one of several': (qb) => qb.union([fail]),
  }
  for (const [name, build] of Object.entries(builds)) {
    expect(await PostQuery.query(build).catch((reason: unknown) => reason), name).toBe(mine)
  }
  expect(cluster.texts()).toEqual([])
})

test.each<[string, (model: ReturnType<typeof modelOn>) => PromiseLike<unknown>]>([
  ['undefined in a condition', (model) => model.where({ title: undefined } as never)],
  ['undefined in an array', (model) => model.where({ id: [1, undefined] } as never).count()],
  ['undefined deep in an array', (model) => model.where({ tags: [['a', undefined]] } as never)],
  ['a hole in an array', (model) => model.where({ id: Object.assign([], { length: 1 }) })],
  ['undefined in findBy', (model) => model.findBy({ id: undefined } as never)],
  ['an undefined id', (model) => model.find(undefined as never)],
  ['a null id', (model) => model.find(null as never)],
  ['an array of ids', (model) => model.find([1] as never)],
  ['no condition', (model) => model.where(undefined as never)],
  ['a text as condition', (model) => model.where('1 = 1' as never)],
  ['a function as value', (model) => model.where({ title: () => 1 } as never)],
  ['a direction', (model) => model.orderBy('id', 'asc, (select 1)' as never)],
  ['a direction that is none', (model) => model.orderBy('id', null as never)],
  ['a name with NUL', (model) => model.orderBy('a\0b' as never)],
  ['a name too long', (model) => model.where({ ['é'.repeat(32)]: 1 })],
  ['an empty name', (model) => model.select('' as never)],
  ['an unknown column', (model) => model.pluck('titel' as never)],
  ['an aggregate of an expression', (model) => model.sum('id) from posts; --' as never)],
  ['a negative limit', (model) => model.limit(-1)],
  ['a limit that is text', (model) => model.limit('1; drop table posts' as never)],
  ['an offset that is no number', (model) => model.offset(Number.NaN)],
  ['an unknown option', (model) => model.with({ timeout: 5 } as never)],
  ['an unknown option of paginate', (model) => model.paginate({ first: 5 } as never)],
  ['an unknown option of stream', (model) => model.stream({ pagesize: 5 } as never).next()],
  ['an unknown option of inBatches', (model) => model.inBatches({ pageSize: 5 } as never).next()],
  ['an option of wrong type', (model) => model.with({ timeoutMs: '5' } as never)],
  ['a page without rows', (model) => model.paginate({ limit: 0 })],
  ['a page after something', (model) => model.paginate({ after: 'x' })],
  ['a page with offset', (model) => model.offset(1).paginate()],
  ['sql called as a function', (model) => model.sql('select 1' as never)],
  ['undefined in sql', (model) => model.sql`select ${undefined}`],
  ['undefined in an array in sql', (model) => model.sql`select ${[1, undefined]}`],
  ['undefined deep in an array in sql', (model) => model.sql`select ${[[1], [undefined]]}`],
  ['sql after a condition', (model) => model.limit(1).sql`select 1`],
  ['an async function in query', (model) => model.query(async (qb) => void qb.limit(1))],
  ['a promise that fails in query', (model) => model.query(() => Promise.reject(new Error('x')))],
  ['something else in query', (model) => model.query(() => 5)],
  [
    'undefined in a Knex condition',
    (model) => model.query((qb) => qb.where('id', undefined as never)),
  ],
])('a mistake comes as a rejection, and no statement is sent: %s', async (_name, act) => {
  const { cluster, PostQuery } = setUp()
  const outcome = act(PostQuery)
  await expect(outcome).rejects.toThrow(InvalidArgumentError)
  expect(cluster.texts()).toEqual([])
})

test('a model without a table or bound to something else says so', async () => {
  class Nameless extends StrictReadBase {
    static override cluster = fakeCluster({})
  }
  class Unbound extends StrictReadBase {
    static override tableName = 'posts'
    static override cluster = () => ({}) as never
  }
  await expect(Nameless.find(1)).rejects.toThrow('Nameless has no table')
  await expect(Unbound.find(1)).rejects.toThrow('Unbound.cluster is not a cluster')
})

test('one failed question to the catalogue fails nobody else, and is asked again', async () => {
  let asked = 0
  const cluster = fakeCluster({}, (one) => {
    if (isCatalogue(one) && asked++ === 0) throw new Error('aborted')
    return isCatalogue(one) ? [{ name: 'id', type: 'int4', category: 'N', notNull: true }] : []
  })
  const PostQuery = modelOn(cluster)
  const results = await Promise.allSettled([PostQuery.where({ id: 1 }), PostQuery.where({ id: 2 })])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  await PostQuery.where({ id: 3 })
  expect(asked).toBe(2)
})

test('a table that is not there yet is not remembered as one without columns', async () => {
  let there = false
  const cluster = fakeCluster({}, (one) =>
    isCatalogue(one) && there ? [{ name: 'id', type: 'int4', category: 'N', notNull: true }] : [],
  )
  const PostQuery = modelOn(cluster)
  await PostQuery.where({ title: 'x' })
  there = true
  await expect(PostQuery.where({ title: 'x' })).rejects.toThrow('no column "title"')
})

test('timeoutMs covers the whole call', async () => {
  const { cluster, PostQuery } = setUp()
  await PostQuery.with({ timeoutMs: 10_000 }).where({ id: 1 })
  expect(cluster.sent).toHaveLength(2)
  for (const { options } of cluster.sent) expect(options?.timeoutMs).toBeLessThanOrEqual(10_000)
  const slow = fakeCluster({}, async (one) => {
    if (isCatalogue(one)) await new Promise((resolve) => setTimeout(resolve, 15))
    return []
  })
  await expect(modelOn(slow).with({ timeoutMs: 5 }).where({ id: 1 })).rejects.toThrow(
    DeadlineExceededError,
  )
  expect(slow.texts()).toEqual([])
})

test('reload fills in the columns and leaves other fields', async () => {
  let title = 'old'
  const { PostQuery } = setUp(() => [{ id: 1, title }])
  class WithExtra extends PostQuery {
    note = 'none'
  }
  const post = await WithExtra.find(1)
  post.note = 'mine'
  title = 'new'
  expect(await post.reload()).toBe(post)
  expect(Object.assign({}, post)).toEqual({ id: 1, title: 'new', note: 'mine' })
})

test('a stale plan is prepared anew under another name', async () => {
  let stale = true
  const { cluster, PostQuery } = setUp(({ statement }) => {
    if (stale && statement.name !== undefined) {
      stale = false
      throw Object.assign(new Error('cached plan must not change result type'), {
        code: '0A000',
        severity: 'ERROR',
        routine: 'RevalidateCachedQuery',
      })
    }
    return [{ id: 1 }]
  })
  await PostQuery.find(1)
  await PostQuery.find(1)
  const names = cluster.sent.map(({ statement }) => statement.name)
  expect(names[1]).toBeUndefined()
  expect(names[2]).toMatch(/^segregato_/)
  expect(names[2]).not.toBe(names[0])
})

test('no other 0A000 is taken for a stale plan: sent once, and names stay', async () => {
  const unsupported = Object.assign(new Error('not supported'), {
    code: '0A000',
    severity: 'ERROR',
    routine: 'exec_stmt_raise',
  })
  let fails = true
  const { cluster, PostQuery } = setUp(() => {
    if (fails) throw unsupported
    return [{ id: 1 }]
  })
  await expect(PostQuery.find(1)).rejects.toBe(unsupported)
  expect(cluster.sent).toHaveLength(1)
  fails = false
  await PostQuery.find(1)
  expect(cluster.sent[1]?.statement.name).toBe(cluster.sent[0]?.statement.name)
})
