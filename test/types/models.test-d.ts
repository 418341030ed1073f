import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import type { Cluster } from '../../src/cluster/cluster.ts'
import type { ModelCluster } from '../../src/models/binding.ts'
import type {
  READ_CLASS,
  READ_INSTANCE,
  ReadRefused,
  Refused,
  WRITE_CLASS,
  WRITE_INSTANCE,
  WriteInstanceRefused,
  WriteRefused,
} from '../../src/models/operations.ts'
import type { ReadQuery } from '../../src/models/read-query.ts'
import { StrictReadBase } from '../../src/models/strict-read-base.ts'
import { StrictWriteBase } from '../../src/models/strict-write-base.ts'
import type { Attributes } from '../../src/models/types.ts'

class PostQuery extends StrictReadBase {
  static override tableName = 'posts'
  declare id: string
  declare title: string
  declare content: string | null
  declare created_at: Date
  shout(): string {
    return this.title.toUpperCase()
  }
}

/** The other style of fields, a composite key, kinds. */
class PairQuery extends StrictReadBase {
  static override tableName = 'pairs'
  static override primaryKey = ['a', 'b'] as const
  static override columns = { value: 'number' } as const
  a!: number
  b!: string
  value!: number
  total!: number
}

class SlugQuery extends StrictReadBase {
  static override tableName = 'slugs'
  static override readonly primaryKey = 'slug'
  declare slug: number
}

class PostCommand extends StrictWriteBase {
  static override tableName = 'posts'
  static override schema = z.object({
    title: z.string(),
    content: z.string().nullish(),
    views: z.coerce.number<string>().default(0),
  })
  declare id: string
  declare title: string
  declare content: string | null
}

class PlainCommand extends StrictWriteBase {
  static override tableName = 'posts'
  id!: string
  title!: string
}

class ValibotCommand extends StrictWriteBase {
  static override tableName = 'posts'
  static override schema = v.object({ title: v.string() })
  static override updateSchema = v.object({ content: v.optional(v.string()) })
  declare id: string
}

class ArktypeCommand extends StrictWriteBase {
  static override tableName = 'posts'
  static override schema = type({ title: 'string > 0' })
  declare id: string
}

declare const query: ReadQuery<typeof PostQuery>
declare const post: PostQuery
declare const command: PostCommand

/** The names of a type whose member is not refused; `never` when all are. */
type Accepted<Target, Names extends keyof Target> = {
  [K in Names]: Target[K] extends Refused<string> ? never : K
}[Names]
/** The names of a type whose member cannot be called. */
type Uncallable<Target, Names extends keyof Target> = {
  [K in Names]: Target[K] extends (...args: never) => unknown ? never : K
}[Names]

describe('refused names do not compile', () => {
  test('each name, on each face', () => {
    expectTypeOf<Accepted<typeof PostQuery, ReadRefused>>().toBeNever()
    expectTypeOf<Accepted<PostQuery, ReadRefused>>().toBeNever()
    expectTypeOf<Accepted<ReadQuery<typeof PostQuery>, ReadRefused>>().toBeNever()
    expectTypeOf<Accepted<typeof PostCommand, WriteRefused>>().toBeNever()
    expectTypeOf<Accepted<PostCommand, WriteInstanceRefused>>().toBeNever()
  })

  test('each name that one model offers is refused by the other', () => {
    expectTypeOf<(typeof WRITE_CLASS)[number] | 'save' | 'destroy'>().toExtend<ReadRefused>()
    expectTypeOf<(typeof WRITE_INSTANCE)[number]>().toExtend<ReadRefused>()
    expectTypeOf<(typeof READ_CLASS)[number] | 'reload'>().toExtend<WriteRefused>()
    expectTypeOf<Uncallable<typeof StrictReadBase, (typeof READ_CLASS)[number]>>().toBeNever()
    expectTypeOf<Uncallable<StrictReadBase, (typeof READ_INSTANCE)[number]>>().toBeNever()
    expectTypeOf<Uncallable<typeof StrictWriteBase, (typeof WRITE_CLASS)[number]>>().toBeNever()
    expectTypeOf<Uncallable<StrictWriteBase, (typeof WRITE_INSTANCE)[number]>>().toBeNever()
  })

  test('each method that there is stands in the table', () => {
    type Methods<Target> = {
      [K in keyof Target]: Target[K] extends (...args: never) => unknown ? K : never
    }[keyof Target]
    expectTypeOf<Exclude<Methods<typeof StrictReadBase>, 'prototype'>>().toEqualTypeOf<
      (typeof READ_CLASS)[number]
    >()
    expectTypeOf<Exclude<Methods<typeof StrictWriteBase>, 'prototype'>>().toEqualTypeOf<
      (typeof WRITE_CLASS)[number]
    >()
    expectTypeOf<Methods<StrictReadBase>>().toEqualTypeOf<(typeof READ_INSTANCE)[number]>()
    expectTypeOf<Methods<StrictWriteBase>>().toEqualTypeOf<(typeof WRITE_INSTANCE)[number]>()
    expectTypeOf<Methods<ReadQuery<typeof PostQuery>>>().toEqualTypeOf<
      (typeof READ_CLASS)[number] | 'then' | 'catch' | 'finally'
    >()
  })

  test('calls of wrong kind', () => {
    // @ts-expect-error a read model cannot write
    void PostQuery.create({ title: 'No' })
    // @ts-expect-error a read model cannot write
    void post.save()
    // @ts-expect-error a read model cannot write
    void query.deleteAll()
    // @ts-expect-error a read model cannot write
    void PostQuery.where({ title: 'x' }).updateAll({ title: 'y' })
    // @ts-expect-error a write model cannot read
    void PostCommand.find('1')
    // @ts-expect-error a write model cannot read
    void PostCommand.where({ title: 'x' })
    // @ts-expect-error a write model cannot read
    void command.reload()
  })
})

describe('a read model is typed by its fields', () => {
  test('columns are the fields, without methods', () => {
    expectTypeOf<Attributes<PostQuery>>().toEqualTypeOf<{
      id: string
      title: string
      content: string | null
      created_at: Date
    }>()
    expectTypeOf<Attributes<PairQuery>>().toEqualTypeOf<{
      a: number
      b: string
      value: number
      total: number
    }>()
  })

  test('rows', () => {
    expectTypeOf(PostQuery.find('1')).resolves.toEqualTypeOf<PostQuery>()
    expectTypeOf(PostQuery.findBy({ title: 'x' })).resolves.toEqualTypeOf<PostQuery | null>()
    expectTypeOf(PostQuery.first()).resolves.toEqualTypeOf<PostQuery | null>()
    expectTypeOf(PostQuery.first(2)).resolves.toEqualTypeOf<PostQuery[]>()
    expectTypeOf<Awaited<ReturnType<typeof query.limit>>>().toEqualTypeOf<PostQuery[]>()
    expectTypeOf(PostQuery.all().catch(() => 1)).resolves.toEqualTypeOf<PostQuery[] | number>()
    expectTypeOf(
      PostQuery.paginate({ after: null }).then((page) => page.rows),
    ).resolves.toEqualTypeOf<PostQuery[]>()
    expectTypeOf(PostQuery.stream()).toEqualTypeOf<AsyncGenerator<PostQuery, void, undefined>>()
    expectTypeOf(query.inBatches()).toEqualTypeOf<AsyncGenerator<PostQuery[], void, undefined>>()
    expectTypeOf(post.reload()).resolves.toEqualTypeOf<PostQuery>()
  })

  test('select narrows, pluck gives values', () => {
    type Selected = Awaited<ReturnType<typeof PostQuery.select<typeof PostQuery, 'id' | 'title'>>>
    expectTypeOf<Selected>().toEqualTypeOf<Pick<PostQuery, 'id' | 'title'>[]>()
    expectTypeOf(PostQuery.pluck('created_at')).resolves.toEqualTypeOf<Date[]>()
    expectTypeOf(query.pluck('id', 'content')).resolves.toEqualTypeOf<[string, string | null][]>()
    // @ts-expect-error no such column
    void PostQuery.pluck('titel')
    // @ts-expect-error a method is no column
    void PostQuery.pluck('shout')
    // @ts-expect-error no such column
    void PostQuery.select('titel')
    // @ts-expect-error no such column
    void PostQuery.orderBy('titel')
    // @ts-expect-error no direction
    void PostQuery.orderBy('title', 'down')
  })

  test('conditions', () => {
    void PostQuery.where({ title: ['a', 'b'], content: null })
    void PostQuery.where({ content: ['a', null] }).where({})
    // @ts-expect-error no such column
    void PostQuery.where({ titel: 'x' })
    // @ts-expect-error wrong type
    void PostQuery.where({ title: 5 })
    // @ts-expect-error undefined is refused
    void PostQuery.where({ title: undefined })
    // @ts-expect-error wrong type
    void query.findBy({ created_at: 5 })
  })

  test('ids', () => {
    // @ts-expect-error wrong type
    void PostQuery.find(1)
    // @ts-expect-error undefined is no id
    void PostQuery.find(undefined)
    void PairQuery.find({ a: 1, b: 'x' })
    // @ts-expect-error half a key
    void PairQuery.find({ a: 1 })
    // @ts-expect-error not a key
    void PairQuery.find(1)
    void SlugQuery.find(5)
    // @ts-expect-error wrong type
    void SlugQuery.find('5')
  })

  test('totals', () => {
    expectTypeOf(PostQuery.count()).resolves.toBeNumber()
    expectTypeOf(PairQuery.sum('value')).resolves.toBeNumber()
    expectTypeOf(PairQuery.sum('total')).resolves.toEqualTypeOf<string | number>()
    expectTypeOf(PairQuery.average('value')).resolves.toEqualTypeOf<number | null>()
    expectTypeOf(PostQuery.maximum('created_at')).resolves.toEqualTypeOf<Date | null>()
  })

  test('raw', () => {
    expectTypeOf(PostQuery.sql`select * from posts`).resolves.toEqualTypeOf<
      Attributes<PostQuery>[]
    >()
    expectTypeOf(PostQuery.sql<{ n: string }>`select 1 as n`).resolves.toEqualTypeOf<
      { n: string }[]
    >()
    expectTypeOf(PostQuery.query((qb) => qb.where('id', '1'))).resolves.toEqualTypeOf<
      Attributes<PostQuery>[]
    >()
    expectTypeOf(PostQuery.query((qb) => qb.select('id'))).resolves.toEqualTypeOf<
      Pick<Attributes<PostQuery>, 'id'>[]
    >()
    expectTypeOf(PostQuery.query((qb) => void qb.where('id', '1'))).resolves.toEqualTypeOf<
      Attributes<PostQuery>[]
    >()
  })
})

describe('a write model is typed by its schema and its fields', () => {
  test('input is what the schema takes, not what it gives', () => {
    void PostCommand.create({ title: 'x', views: '5' })
    // @ts-expect-error the schema takes a string
    void PostCommand.create({ title: 'x', views: 5 })
    // @ts-expect-error title is missing
    void PostCommand.create({ content: 'x' })
    // @ts-expect-error no such key
    void PostCommand.create({ title: 'x', other: 1 })
    void ValibotCommand.create({ title: 'x' })
    // @ts-expect-error wrong type
    void ValibotCommand.create({ title: 1 })
    void ArktypeCommand.create({ title: 'x' })
    // @ts-expect-error wrong type
    void ArktypeCommand.create({ title: 1 })
    void PlainCommand.create({ title: 'x' })
    // @ts-expect-error no such column
    void PlainCommand.create({ titel: 'x' })
  })

  test('rows', () => {
    expectTypeOf(PostCommand.create({ title: 'x' })).resolves.toEqualTypeOf<PostCommand>()
    expectTypeOf(PostCommand.insertAll([{ title: 'x' }])).resolves.toEqualTypeOf<PostCommand[]>()
    expectTypeOf(PostCommand.upsert({ title: 'x' })).resolves.toEqualTypeOf<PostCommand>()
    expectTypeOf(
      PostCommand.upsert({ title: 'x' }, { onConflict: 'ignore' }),
    ).resolves.toEqualTypeOf<PostCommand | null>()
    expectTypeOf(PostCommand.lock('1', async (row) => row.title)).resolves.toBeString()
    expectTypeOf(PostCommand.transaction(async () => 5)).resolves.toBeNumber()
    expectTypeOf(command.save()).resolves.toEqualTypeOf<PostCommand>()
    expectTypeOf(PostCommand.deleteAll({ title: 'x' })).resolves.toBeNumber()
  })

  test('changes', () => {
    void PostCommand.update('1', { content: null })
    void command.update({ title: 'x' })
    void ValibotCommand.update('1', { content: 'x' })
    void PostCommand.updateAll({ title: ['a'] }, { content: 'x' })
    void PostCommand.increment('1', 'title')
    // @ts-expect-error wrong type
    void PostCommand.update('1', { content: 5 })
    // @ts-expect-error not in updateSchema
    void ValibotCommand.update('1', { title: 'x' })
    // @ts-expect-error wrong type
    void command.update({ title: 5 })
    // @ts-expect-error no such column
    void PostCommand.updateAll({ titel: 'x' }, { content: 'x' })
    // @ts-expect-error wrong type of id
    void PostCommand.update(1, { content: 'x' })
    // @ts-expect-error no such column
    void PostCommand.upsert({ title: 'x' }, { target: 'slug' })
    // @ts-expect-error no such column
    void PostCommand.increment('1', 'slug')
  })
})

test('a cluster is what models need', () => {
  expectTypeOf<Cluster>().toExtend<ModelCluster>()
  abstract class Family extends StrictReadBase {
    static override cluster = () => null as unknown as Cluster
  }
  expectTypeOf(Family.cluster).returns.toEqualTypeOf<Cluster>()
})
