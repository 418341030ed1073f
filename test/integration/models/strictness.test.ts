import knex from 'knex'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { StrictReadModelError, StrictWriteModelError } from '../../../src/errors.ts'
import {
  READ_REFUSES,
  WRITE_INSTANCE_REFUSES,
  WRITE_REFUSES,
} from '../../../src/models/operations.ts'
import { StrictReadBase } from '../../../src/models/strict-read-base.ts'
import { StrictWriteBase } from '../../../src/models/strict-write-base.ts'
import { closedPorts, useCluster, withDeadReplicas } from '../../support/cluster.ts'
import { watchStatements } from '../../support/servers.ts'

const fixture = useCluster(`
  CREATE TABLE posts (id int PRIMARY KEY, title text);
  CREATE SEQUENCE numbers;
  CREATE FUNCTION added() RETURNS int LANGUAGE sql AS 'INSERT INTO posts VALUES (99) RETURNING id';
  CREATE VIEW adding AS SELECT id, title, added() AS added FROM posts;
  CREATE FUNCTION hidden() RETURNS int LANGUAGE sql AS 'DELETE FROM posts RETURNING id';
`)

let cluster: Cluster
let current: Cluster

class PostQuery extends StrictReadBase {
  static override tableName = 'posts'
  static override cluster = () => current
  declare id: number
  declare title: string
}

class PostCommand extends StrictWriteBase {
  static override tableName = 'posts'
  static override cluster = () => current
  declare id: number
  declare title: string
}

beforeAll(() => {
  cluster = fixture.open()
})

beforeEach(async () => {
  current = cluster
  await fixture.db.admin.query(`TRUNCATE posts; INSERT INTO posts VALUES (1, 'a'), (2, 'b')`)
  await fixture.db.replicated()
})

const expectUnchanged = async (): Promise<void> => {
  expect((await fixture.db.admin.query('SELECT * FROM posts ORDER BY id')).rows).toEqual([
    { id: 1, title: 'a' },
    { id: 2, title: 'b' },
  ])
  expect((await fixture.db.admin.query('SELECT is_called FROM numbers')).rows).toEqual([
    { is_called: false },
  ])
}

type Anything = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>

test('no refused name of a read model reaches a server', async () => {
  const post = await PostQuery.find(1)
  const log = await watchStatements(fixture.db.name)
  for (const [face, target] of Object.entries({
    class: PostQuery,
    instance: post,
    query: PostQuery.where({ id: 1 }),
  })) {
    for (const name of READ_REFUSES) {
      const refused = (target as unknown as Anything)[name]!({ title: 'x' }, { title: 'y' })
      await expect(refused, `${face} ${name}`).rejects.toThrow(StrictReadModelError)
      await expect(refused).rejects.toThrow(
        `The Read Model is not allowed to perform Write operations: ${name}`,
      )
    }
  }
  expect(await log.texts()).toEqual([])
  await expectUnchanged()
})

test('no refused name of a write model reaches a server', async () => {
  const post = await PostCommand.create({ id: 3, title: 'c' })
  await post.destroy()
  const log = await watchStatements(fixture.db.name)
  for (const [target, names] of [
    [PostCommand, WRITE_REFUSES],
    [post, WRITE_INSTANCE_REFUSES],
  ] as const) {
    for (const name of names) {
      const refused = (target as unknown as Anything)[name]!({ title: 'x' })
      await expect(refused).rejects.toThrow(StrictWriteModelError)
      await expect(refused).rejects.toThrow(
        `The Write Model is not allowed to perform the Read operation: ${name}`,
      )
    }
  }
  expect(await log.texts()).toEqual([])
})

/** What an application may have beside its models. */
const foreign = knex.default({ client: 'pg' })

test('builders that write or lock are refused before anything is sent', async () => {
  const row = { id: 9, title: 'x' }
  // oxlint-disable-next-line typescript/no-explicit-any -- what JavaScript callers may do
  const builds: Record<string, (qb: any) => unknown> = {
    insert: (qb) => qb.insert(row),
    update: (qb) => qb.update({ title: 'x' }),
    delete: (qb) => qb.delete(),
    del: (qb) => qb.del(),
    truncate: (qb) => qb.truncate(),
    into: (qb) => qb.into('posts'),
    increment: (qb) => qb.increment('id', 1),
    upsert: (qb) => qb.upsert(row),
    returning: (qb) => qb.returning('*'),
    forUpdate: (qb) => qb.forUpdate(),
    forShare: (qb) => qb.forShare(),
    'with, nested': (qb) =>
      qb.with('w', (inner: typeof qb) => inner.insert(row).into('posts')).from('w'),
    'with, two deep': (qb) =>
      qb
        .with('a', (a: typeof qb) =>
          a.with('b', (b: typeof qb) => b.from('posts').delete()).from('b'),
        )
        .from('a'),
    'a builder in where': (qb) =>
      qb.whereIn('id', (inner: typeof qb) => inner.from('posts').update({ title: 'x' })),
    'a builder in a union': (qb) => qb.union((inner: typeof qb) => inner.from('posts').forUpdate()),
    'a clone': (qb) => qb.clone().delete(),
    'a builder of another Knex': (qb) => qb.with('w', foreign('posts').insert(row)).from('w'),
    'a lock of another Knex': (qb) => qb.whereIn('id', foreign('posts').select('id').forUpdate()),
    'another Knex altogether': () => foreign('posts').delete(),
    'a builder as a binding': (qb) =>
      qb.whereRaw('id in (?)', [foreign('posts').update({ title: 'x' })]),
    'a new builder': (qb) => qb.client.queryBuilder().from('posts').delete(),
  }
  await PostQuery.query((qb) => qb.limit(1))
  const log = await watchStatements(fixture.db.name)
  for (const [name, build] of Object.entries(builds)) {
    await expect(PostQuery.query(build), name).rejects.toThrow(StrictReadModelError)
  }
  await expect(PostQuery.query(builds['insert']!)).rejects.toThrow('Write operations: insert')
  expect(await log.texts()).toEqual([])
  await expectUnchanged()
})

const WRITES: Readonly<Record<string, () => Promise<unknown>>> = {
  'an insert': () => PostQuery.sql`INSERT INTO posts VALUES (9, 'x')`,
  'a delete in a CTE': () =>
    PostQuery.sql`WITH gone AS (DELETE FROM posts RETURNING id) SELECT * FROM gone`,
  'nextval()': () => PostQuery.sql`SELECT nextval('numbers')`,
  'a function that writes': () => PostQuery.sql`SELECT hidden()`,
  'FOR UPDATE': () => PostQuery.sql`SELECT * FROM posts FOR UPDATE`,
  'raw SQL in a builder': () => PostQuery.query((qb) => qb.select(qb.client.raw('hidden()'))),
  'a raw CTE in a builder': () =>
    PostQuery.query((qb) =>
      qb.with('gone', qb.client.raw('DELETE FROM posts RETURNING id')).from('gone'),
    ),
}

const PLACES: Readonly<Record<string, (write: () => Promise<unknown>) => Promise<unknown>>> = {
  'on a replica': (write) => write(),
  'with all replicas down': async (write) => {
    current = fixture.open({}, () => withDeadReplicas(fixture.db.config, ports))
    return write()
  },
  'inside transaction()': (write) => cluster.transaction(write),
  'inside snapshot()': (write) => cluster.snapshot(write),
  "inside using('primary')": (write) => cluster.using('primary', write),
}

let ports: number[]
beforeAll(async () => {
  ports = await closedPorts(2)
})

test.each(
  Object.keys(PLACES).flatMap((place) =>
    Object.keys(WRITES).map((write) => [write, place] as const),
  ),
)('%s %s is refused by the server', async (write, place) => {
  await expect(PLACES[place]!(WRITES[write]!)).rejects.toMatchObject({
    code: 'SEGREGATO_STRICT_READ',
    sqlState: '25006',
  })
  await expectUnchanged()
})

test('models join the transaction: reads see its writes and run on the primary', async () => {
  await PostQuery.where({ id: 1 })
  const log = await watchStatements(fixture.db.name)
  await cluster.transaction(async () => {
    await PostCommand.create({ id: 5, title: 'new' })
    expect(await PostQuery.find(5)).toMatchObject({ title: 'new' })
    expect(await PostQuery.where({ title: 'new' }).count()).toBe(1)
    const seen: number[] = []
    for await (const post of PostQuery.orderBy('id').stream({ pageSize: 1 })) {
      seen.push(post.id)
      await PostCommand.update(post.id, { title: `changed ${post.id}` })
    }
    expect(seen).toEqual([1, 2, 5])
  })
  expect(await log.texts('replica1', 'replica2')).toEqual([])
  expect(
    (await fixture.db.admin.query('SELECT title FROM posts ORDER BY id')).rows.map(
      (row) => row['title'],
    ),
  ).toEqual(['changed 1', 'changed 2', 'changed 5'])
})

test('a refused read inside a transaction leaves the transaction usable', async () => {
  await cluster.transaction(async () => {
    await PostCommand.create({ id: 6, title: 'kept' })
    await expect(PostQuery.sql`DELETE FROM posts`).rejects.toThrow(StrictReadModelError)
    await PostCommand.update(6, { title: 'kept on' })
  })
  expect((await fixture.db.admin.query('SELECT title FROM posts WHERE id = 6')).rows).toEqual([
    { title: 'kept on' },
  ])
})

/** What looks like a table, and writes when its rows are read. */
class AddingQuery extends PostQuery {
  static override tableName = 'adding'
  declare added: number
}

const VIEW_READS: Readonly<Record<string, () => PromiseLike<unknown>>> = {
  all: () => AddingQuery.all(),
  find: () => AddingQuery.find(1),
  where: () => AddingQuery.where({ id: 1 }),
  first: () => AddingQuery.first(),
  last: () => AddingQuery.last(),
  pluck: () => AddingQuery.pluck('added'),
  sum: () => AddingQuery.sum('added'),
  'a condition': () => AddingQuery.exists({ added: 99 }),
  paginate: () => AddingQuery.orderBy('id').paginate(),
  stream: async () => {
    for await (const _ of AddingQuery.stream()) continue
  },
}

test.each(
  Object.keys(PLACES).flatMap((place) =>
    Object.keys(VIEW_READS).map((read) => [read, place] as const),
  ),
)('%s of a view that writes, %s, is refused by the server', async (read, place) => {
  await expect(PLACES[place]!(async () => VIEW_READS[read]!())).rejects.toMatchObject({
    code: 'SEGREGATO_STRICT_READ',
    sqlState: '25006',
  })
  await expectUnchanged()
})

test.each(Object.keys(VIEW_READS))(
  '%s of a view that writes leaves the transaction as it was',
  async (read) => {
    await cluster.transaction(async () => {
      await expect(Promise.resolve(VIEW_READS[read]!())).rejects.toThrow(StrictReadModelError)
      await PostCommand.update(1, { title: 'a' })
      expect(await PostQuery.count()).toBe(2)
    })
    await expectUnchanged()
  },
)

test('a snapshot sees one state', async () => {
  await cluster.snapshot(async () => {
    expect(await PostQuery.count()).toBe(2)
    await fixture.db.admin.query(`INSERT INTO posts VALUES (7, 'later')`)
    await fixture.db.replicated()
    expect(await PostQuery.count()).toBe(2)
  })
  expect(await PostQuery.count()).toBe(3)
})
