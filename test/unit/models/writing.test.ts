import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { z as z3 } from 'zod/v3'
import { InvalidArgumentError, ValidationError } from '../../../src/errors.ts'
import { StrictWriteBase } from '../../../src/models/strict-write-base.ts'
import { fakeCluster, type FakeCluster } from './fake-cluster.ts'

const TYPES = {
  id: 'int4',
  title: 'text',
  content: 'text',
  views: 'int4',
  meta: 'json',
  updated_at: 'timestamptz',
}

const row = { id: 1, title: 'a', content: null, views: 0, meta: null }

const modelOn = (cluster: FakeCluster, schema?: StandardSchemaV1) =>
  class PostCommand extends StrictWriteBase {
    static override tableName = 'posts'
    static override cluster = cluster
    static override schema = schema
    declare id: number
    declare title: string
    declare content: string | null
    declare views: number
    declare meta: unknown
  }

const setUp = (schema?: StandardSchemaV1) => {
  const cluster = fakeCluster(TYPES, () => [{ ...row }])
  const PostCommand = modelOn(cluster, schema)
  const last = () => cluster.sent.at(-1)?.statement
  return { cluster, PostCommand, last }
}

test('everything is sent to the writer', async () => {
  const { cluster, PostCommand } = setUp()
  const post = await PostCommand.create({ title: 'a' })
  await PostCommand.insertAll([{ title: 'a' }, { views: 1 }])
  await PostCommand.upsert({ id: 1, title: 'a' })
  await PostCommand.update(1, { title: 'b' })
  await PostCommand.updateAll({ title: ['a', null] }, { views: 1 })
  await PostCommand.delete(1)
  await PostCommand.deleteAll({ id: 1 })
  await PostCommand.increment(1, 'views', 2n)
  await PostCommand.lock(1, async () => undefined)
  await post.update({ title: 'c' })
  await post.destroy()
  expect(new Set(cluster.sent.map(({ side }) => side))).toEqual(new Set(['writer']))
  expect(cluster.transactions).toBe(1)
  expect(cluster.texts()).toEqual([
    'insert into "posts" ("title") values ($1) returning *',
    'insert into "posts" ("title", "views") values ($1, default), (default, $2) returning *',
    'insert into "posts" ("id", "title") values ($1, $2) on conflict ("id") do update set "title" = excluded."title" returning *',
    'update "posts" set "title" = $1 where "id" = $2 returning *',
    'update "posts" set "views" = $1 where ("title" = any($2) or "title" is null)',
    'delete from "posts" where "id" = $1',
    'delete from "posts" where "id" = $1',
    'update "posts" set "views" = coalesce("views", 0) + $1 where "id" = $2 returning *',
    'select * from "posts" where "id" = $1 for update',
    'update "posts" set "title" = $1 where "id" = $2 returning *',
    'delete from "posts" where "id" = $1',
  ])
})

test('fields that the language sets to undefined are not given to the schema of a new row', async () => {
  const { cluster } = setUp()
  class WithFields extends StrictWriteBase {
    static override tableName = 'posts'
    static override cluster = cluster
    static override schema = z.strictObject({ title: z.string(), content: z.string().optional() })
    id!: number
    title!: string
    content!: string | null
  }
  const post = new WithFields()
  expect(Object.keys(post)).toContain('id')
  post.title = 'a'
  await post.save()
  expect(cluster.sent.at(-1)?.statement).toMatchObject({
    text: 'insert into "posts" ("title") values ($1) returning *',
    values: ['a'],
  })
})

describe('updates with a schema for whole rows', () => {
  const schemas: Record<string, StandardSchemaV1> = {
    zod: z.object({
      title: z.string().trim().min(1),
      content: z.string().trim().optional(),
      views: z.number().default(9),
    }),
    valibot: v.object({
      title: v.pipe(v.string(), v.trim(), v.minLength(1)),
      content: v.optional(v.pipe(v.string(), v.trim())),
      views: v.optional(v.number(), 9),
    }),
  }
  test.each(Object.entries(schemas))(
    '%s: transformed, without defaults, and no given key vanishes',
    async (_name, schema) => {
      const { PostCommand, last } = setUp(schema)
      await PostCommand.update(1, { content: ' x ' })
      expect(last()).toMatchObject({
        text: 'update "posts" set "content" = $1 where "id" = $2 returning *',
        values: ['x', 1],
      })
      await PostCommand.update(1, { title: ' t ' })
      expect(last()?.values).toEqual(['t', 1])
      await expect(PostCommand.update(1, { title: ' ' })).rejects.toThrow(ValidationError)
      const sent = last()
      for (const changes of [
        { secret: 'y' },
        { content: 'x', secret: 'y' },
        { title: 't', content: 'x', secret: 'y' },
      ]) {
        await expect(PostCommand.update(1, changes as never)).rejects.toMatchObject({
          code: 'SEGREGATO_VALIDATION',
          issues: [{ path: ['secret'] }],
        })
        await expect(PostCommand.updateAll({ id: 1 }, changes as never)).rejects.toThrow('secret')
      }
      expect(last()).toBe(sent)
      // A new row is what the schema makes of the input.
      await PostCommand.create({ title: 't', secret: 'y' } as never)
      expect(last()?.values).toEqual(['t', 9])
    },
  )

  const strict: Record<string, StandardSchemaV1> = {
    'zod strictObject': z.strictObject({ title: z.string(), content: z.string() }),
    'zod strictObject, refined': z
      .strictObject({ title: z.string(), content: z.string() })
      .refine(() => false, 'never'),
    'zod 3 strict': z3.object({ title: z3.string(), content: z3.string() }).strict(),
    'zod 3': z3.object({ title: z3.string(), content: z3.string() }),
    'valibot strictObject': v.strictObject({ title: v.string(), content: v.string() }),
    'arktype that refuses': type({ title: 'string', content: 'string', '+': 'reject' }),
  }
  test.each(Object.entries(strict))('%s: an unknown key is refused', async (_name, schema) => {
    const { cluster, PostCommand, last } = setUp(schema)
    await PostCommand.update(1, { title: 't' })
    expect(last()?.values).toEqual(['t', 1])
    const before = cluster.sent.length
    for (const changes of [{ active: false }, { title: 't', active: false }]) {
      const refused = PostCommand.update(1, changes)
      await expect(refused).rejects.toThrow(ValidationError)
      await expect(refused).rejects.toThrow('active')
    }
    expect(cluster.sent).toHaveLength(before)
  })

  const loose: Record<string, StandardSchemaV1> = {
    'zod looseObject': z.looseObject({ title: z.string().trim(), content: z.string() }),
    'zod catchall': z
      .object({ title: z.string().trim(), content: z.string() })
      .catchall(z.number().nullable()),
    'zod 3 passthrough': z3
      .object({ title: z3.string().trim(), content: z3.string() })
      .passthrough(),
    'zod 3 catchall': z3
      .object({ title: z3.string().trim(), content: z3.string() })
      .catchall(z3.number().nullable()),
    'valibot looseObject': v.looseObject({
      title: v.pipe(v.string(), v.trim()),
      content: v.string(),
    }),
    'valibot objectWithRest': v.objectWithRest(
      { title: v.pipe(v.string(), v.trim()), content: v.string() },
      v.nullable(v.number()),
    ),
  }
  test.each(Object.entries(loose))('%s: an unknown key is written', async (_name, schema) => {
    const { PostCommand, last } = setUp(schema)
    await PostCommand.update(1, { title: ' t ', views: 5 })
    expect(last()?.values).toEqual(['t', 5, 1])
    await PostCommand.update(1, { title: ' t ', content: 'c', views: 6 })
    expect(last()?.values).toEqual(['t', 'c', 6, 1])
  })

  test('a catchall checks the keys that it keeps', async () => {
    const { PostCommand } = setUp(z.object({ title: z.string() }).catchall(z.number()))
    await expect(PostCommand.update(1, { views: 'x' } as never)).rejects.toMatchObject({
      issues: [{ path: ['views'] }],
    })
  })

  test('updateSchema: a given key that it drops is refused', async () => {
    const { PostCommand, last } = setUp()
    class Partly extends PostCommand {
      static override updateSchema: StandardSchemaV1 = z.object({ content: z.string().optional() })
    }
    await Partly.update(1, { content: 'x' })
    expect(last()?.values).toEqual(['x', 1])
    await expect(Partly.update(1, { content: 'x', title: 'y' })).rejects.toThrow('title')
  })

  test('save refuses a changed column that the schema does not keep', async () => {
    for (const schema of [
      z.object({ title: z.string() }),
      z.strictObject({ title: z.string() }),
      z.object({ title: z.string(), content: z.string() }),
    ]) {
      const { PostCommand, last } = setUp(schema)
      const post = await PostCommand.create({ title: 'a', content: 'b' }).catch(() =>
        PostCommand.create({ title: 'a' }),
      )
      post.views = 5
      await expect(post.save()).rejects.toThrow(ValidationError)
      await expect(post.save()).rejects.toThrow('views')
      post.title = 'b'
      await expect(post.save()).rejects.toThrow('views')
      expect(last()?.text).toMatch(/^insert/)
    }
  })

  test('arktype, and a schema of one function', async () => {
    const ark = setUp(type({ title: 'string > 0', 'content?': 'string' }))
    await ark.PostCommand.update(1, { content: 'x' })
    expect(ark.last()?.values).toEqual(['x', 1])
    await expect(ark.PostCommand.update(1, { content: 5 } as never)).rejects.toThrow(
      ValidationError,
    )
    const opaque: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async (value) => {
          const input = value as Record<string, unknown>
          const issues = ['title', 'content']
            .filter((key) => typeof input[key] !== 'string')
            .map((key) => ({ message: 'wrong', path: [{ key }] }))
          return issues.length > 0 ? { issues } : { value }
        },
      },
    }
    const own = setUp(opaque)
    await own.PostCommand.update(1, { content: 'x' })
    expect(own.last()?.values).toEqual(['x', 1])
    await expect(own.PostCommand.update(1, { content: 5 } as never)).rejects.toMatchObject({
      issues: [{ path: ['content'], message: 'wrong' }],
    })
  })

  test('a rule about the whole row does not stop a part of one', async () => {
    const { PostCommand, last } = setUp(
      z.object({ title: z.string(), content: z.string() }).refine(() => false, 'never'),
    )
    await PostCommand.update(1, { content: 'x' })
    expect(last()?.values).toEqual(['x', 1])
    await expect(PostCommand.create({ title: 'a', content: 'b' })).rejects.toThrow(ValidationError)
  })
})

test('a schema default fills new rows, and never overwrites by upsert', async () => {
  const { PostCommand, last } = setUp(
    z.object({ id: z.number(), title: z.string(), views: z.number().default(9) }),
  )
  await PostCommand.create({ id: 1, title: 'a' })
  expect(last()).toMatchObject({
    text: expect.stringContaining('("id", "title", "views")') as string,
    values: [1, 'a', 9],
  })
  await PostCommand.upsert({ id: 1, title: 'a' })
  expect(last()?.text).toContain('do update set "title" = excluded."title" returning')
})

test('json columns are written as JSON, others as they are', async () => {
  const { PostCommand, last } = setUp()
  for (const meta of ['text', [1], { a: 1 }, 5, true]) {
    await PostCommand.create({ meta, title: 'text' })
    expect(last()?.values).toEqual([JSON.stringify(meta), 'text'])
  }
  await PostCommand.create({ meta: null, title: null as never })
  expect(last()?.values).toEqual([null, null])
})

test('fields that are no columns are left alone', async () => {
  const { cluster, PostCommand } = setUp()
  class WithExtra extends PostCommand {
    note: string | undefined
  }
  const post = new WithExtra()
  post.title = 'a'
  await post.save()
  expect(post.id).toBe(1)
  post.note = 'mine'
  await post.save()
  expect(post.note).toBe('mine')
  expect(cluster.texts()).toEqual(['insert into "posts" ("title") values ($1) returning *'])
})

test('save sees what was changed in place, and nothing else', async () => {
  const cluster = fakeCluster({ ...TYPES, at: 'timestamptz', bytes: 'bytea' }, () => [
    { ...row, meta: { list: [1] }, at: new Date(5), bytes: Buffer.from('ab') },
  ])
  const PostCommand = modelOn(cluster)
  const post = (await PostCommand.create({ title: 'a' })) as InstanceType<typeof PostCommand> & {
    at: Date
    bytes: Buffer
  }
  const before = cluster.sent.length
  post.meta = { list: [1] }
  post.at = new Date(5)
  await post.save()
  expect(cluster.sent).toHaveLength(before)
  ;(post.meta as { list: number[] }).list[0] = 2
  post.at.setTime(6)
  post.bytes[0] = 99
  await post.save()
  expect(cluster.sent.at(-1)?.statement).toMatchObject({
    text: 'update "posts" set "meta" = $1, "at" = $2, "bytes" = $3 where "id" = $4 returning *',
    values: ['{"list":[2]}', new Date(6), Buffer.from('cb'), 1],
  })
})

test.each<[string, (model: ReturnType<typeof modelOn>) => Promise<unknown>]>([
  ['an empty condition', (model) => model.deleteAll({})],
  ['an empty condition to update', (model) => model.updateAll({}, { title: 'x' })],
  ['no condition', (model) => model.deleteAll(undefined as never)],
  [
    'undefined in a condition',
    (model) => model.updateAll({ title: undefined } as never, { title: 'x' }),
  ],
  ['an undefined id', (model) => model.delete(undefined as never)],
  ['an undefined id to lock', (model) => model.lock(undefined as never, async () => 1)],
  ['an object as id', (model) => model.update({ id: 1 } as never, { title: 'x' })],
  ['nothing to change', (model) => model.update(1, { title: undefined } as never)],
  ['no object', (model) => model.create('title' as never)],
  ['an array to create', (model) => model.create([] as never)],
  ['no array of rows', (model) => model.insertAll({ title: 'x' } as never)],
  ['an unknown column', (model) => model.create({ titel: 'x' } as never)],
  ['a function', (model) => model.create({ title: () => 1 } as never)],
  ['a bigint inside JSON', (model) => model.create({ meta: { n: 1n } })],
  [
    'an unknown conflict action',
    (model) => model.upsert({ id: 1 }, { onConflict: 'replace' as never }),
  ],
  ['an unknown conflict target', (model) => model.upsert({ id: 1 }, { target: 'slug' as never })],
  ['an unknown option', (model) => model.create({ title: 'x' }, { timeout: 5 } as never)],
  [
    'an unknown option of upsert',
    (model) => model.upsert({ id: 1 }, { onconflict: 'ignore' } as never),
  ],
  ['options that are none', (model) => model.delete(1, 5 as never)],
  ['an increment by nothing', (model) => model.increment(1, 'views', null as never)],
  ['an increment of an expression', (model) => model.increment(1, 'views = 1 --' as never)],
])('a mistake comes as a rejection, and no statement is sent: %s', async (_name, act) => {
  const { cluster, PostCommand } = setUp()
  await expect(act(PostCommand)).rejects.toThrow(InvalidArgumentError)
  expect(cluster.texts()).toEqual([])
})
