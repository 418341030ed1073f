import { type } from 'arktype'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  InvalidArgumentError,
  RecordNotFoundError,
  UniqueViolationError,
  ValidationError,
} from '../../../src/errors.ts'
import { watchStatements } from '../../support/servers.ts'
import { Command, PairCommand, PlainCommand, PostCommand, fixture, stored } from './commands.ts'

test('create gives the row with its generated id, from the primary', async () => {
  await PostCommand.create({ title: 'warm' })
  const log = await watchStatements(fixture.db.name)
  const post = await PostCommand.create({ title: '  Hello ' })
  expect(post).toBeInstanceOf(PostCommand)
  expect(post).toMatchObject({ title: 'Hello', content: null, views: 7 })
  expect(post.id).toMatch(/^[0-9a-f-]{36}$/)
  expect(await stored(post.id)).toMatchObject({ title: 'Hello' })
  expect(await log.texts('replica1', 'replica2')).toEqual([])
  expect(
    (await log.texts('master')).filter((text) => text.startsWith('insert into "posts"')),
  ).toHaveLength(1)
})

test('a model that has never been used asks the primary about its table, not a replica', async () => {
  class Fresh extends PlainCommand {}
  const log = await watchStatements(fixture.db.name)
  await Fresh.create({ title: 'first' })
  expect(await log.texts('replica1', 'replica2')).toEqual([])
})

test.each([
  ['zod', z.object({ title: z.string().min(1) })],
  ['valibot', v.object({ title: v.pipe(v.string(), v.minLength(1)) })],
  ['arktype', type({ title: 'string > 0' })],
])('a refused input is never sent: %s', async (_name, schema) => {
  class Checked extends Command {
    static override tableName = 'posts'
    static override schema = schema
  }
  const log = await watchStatements(fixture.db.name)
  const error = await Checked.create({ title: '' }).catch((error: unknown) => error)
  expect(error).toBeInstanceOf(ValidationError)
  expect(error).toMatchObject({ model: 'Checked', issues: [{ path: ['title'] }] })
  await expect(Checked.insertAll([{ title: 'a' }, { title: '' }])).rejects.toMatchObject({
    issues: [{ path: [1, 'title'] }],
  })
  await expect(
    Checked.update('00000000-0000-0000-0000-000000000000', { title: '' }),
  ).rejects.toThrow(ValidationError)
  expect(await log.texts()).toEqual([])
  expect((await Checked.create({ title: 'fine' })) as { title?: string }).toMatchObject({
    title: 'fine',
  })
})

test('json columns take any JSON value, and null is SQL NULL', async () => {
  for (const value of ['text', ['a', { b: null }], { n: 1 }, 5, false, '{"looks": "like"}', []]) {
    const post = await PlainCommand.create({ title: 'json', meta: value, list: value })
    expect(post.meta).toEqual(value)
    expect(post.list).toEqual(value)
    expect(await stored(post.id)).toMatchObject({ meta: value, list: value })
  }
  const post = await PlainCommand.create({
    title: 'null',
    meta: null,
    tags: ['a', 'b,"c'],
    bytes: Buffer.from([0, 1, 255]),
  })
  const { rows } = await fixture.db.admin.query(
    'SELECT meta IS NULL AS none FROM posts WHERE id = $1',
    [post.id],
  )
  expect(rows).toEqual([{ none: true }])
  expect(post.tags).toEqual(['a', 'b,"c'])
  expect(post.bytes).toEqual(Buffer.from([0, 1, 255]))
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  await expect(PlainCommand.create({ title: 'x', meta: circular })).rejects.toThrow(
    InvalidArgumentError,
  )
})

test('insertAll: different columns, any number of rows, one transaction', async () => {
  const two = await PlainCommand.insertAll([
    { title: 'one', views: 3 },
    { content: 'c', title: 'two' },
  ])
  expect(two.map(({ title, views, content }) => [title, views, content])).toEqual([
    ['one', 3, null],
    ['two', 0, 'c'],
  ])
  expect(await PlainCommand.insertAll([])).toEqual([])
  const log = await watchStatements(fixture.db.name)
  const rows = Array.from({ length: 25_000 }, (_, index) => ({ a: index, b: 'x', value: index }))
  const inserted = await PairCommand.insertAll(rows)
  expect(inserted).toHaveLength(25_000)
  expect(inserted[24_999]).toMatchObject({ a: 24_999 })
  expect((await log.texts('master')).filter((text) => text.startsWith('insert'))).toHaveLength(2)
  await fixture.db.admin.query('TRUNCATE pairs')
  await expect(PairCommand.insertAll([...rows, { a: 0, b: 'x', value: 1 }])).rejects.toThrow(
    UniqueViolationError,
  )
  expect((await fixture.db.admin.query('SELECT count(*)::int AS n FROM pairs')).rows).toEqual([
    { n: 0 },
  ])
})

test('upsert updates or ignores; defaults do not overwrite', async () => {
  const first = await PostCommand.upsert(
    { title: 'a', slug: 's', content: 'kept' },
    { target: 'slug' },
  )
  await fixture.db.admin.query('UPDATE posts SET views = 99')
  const second = await PostCommand.upsert({ title: 'b', slug: 's' }, { target: 'slug' })
  expect(second).toMatchObject({ id: first.id, title: 'b', content: 'kept', views: 99 })
  expect(
    await PostCommand.upsert({ title: 'c', slug: 's' }, { target: 'slug', onConflict: 'ignore' }),
  ).toBeNull()
  expect(await stored(first.id)).toMatchObject({ title: 'b' })
  expect(await PairCommand.upsert({ a: 1, b: 'x', value: 1 })).toMatchObject({ value: 1 })
  expect(await PairCommand.upsert({ a: 1, b: 'x', value: 2 })).toMatchObject({ value: 2 })
  expect(await PairCommand.upsert({ a: 1, b: 'x' })).toMatchObject({ value: 2 })
  expect(await PairCommand.upsert({ a: 1, b: 'x', value: 3 }, { update: [] })).toMatchObject({
    value: 2,
  })
})

test('update writes the given keys only', async () => {
  const { id } = await PostCommand.create({ title: 'a', content: 'c', views: 1 })
  expect(await PostCommand.update(id, { content: 'd' })).toMatchObject({
    title: 'a',
    content: 'd',
    views: 1,
  })
  expect(await PostCommand.update(id, { title: ' b ' })).toMatchObject({ title: 'b', views: 1 })
  await expect(PostCommand.update(id, { title: '' })).rejects.toThrow(ValidationError)
  await expect(PostCommand.update(id, {})).rejects.toThrow(InvalidArgumentError)
  await expect(PostCommand.update(id, { content: 'e', id: 'x' } as never)).rejects.toThrow(
    ValidationError,
  )
  expect(await stored(id)).toMatchObject({ content: 'd' })
  await expect(
    PostCommand.update('00000000-0000-0000-0000-000000000000', { content: 'd' }),
  ).rejects.toThrow(RecordNotFoundError)
  await expect(PostCommand.update(undefined as never, { content: 'd' })).rejects.toThrow(
    InvalidArgumentError,
  )
})

test('updateSchema decides about updates', async () => {
  class Fixed extends PostCommand {
    static override updateSchema = z
      .object({ content: z.string().default('never'), views: z.coerce.number().optional() })
      .strict()
  }
  const { id } = await Fixed.create({ title: 'a' })
  expect(await Fixed.update(id, { views: '12' })).toMatchObject({ views: 12, content: null })
  await expect(Fixed.update(id, { title: 'b' } as never)).rejects.toThrow(ValidationError)
})

test('updateAll and deleteAll count, and refuse to mean every row', async () => {
  await PlainCommand.insertAll([
    { title: 'a', slug: '1' },
    { title: 'a', slug: '2' },
    { title: 'b', slug: '3' },
  ])
  expect(await PlainCommand.updateAll({ title: 'a' }, { views: 5 })).toBe(2)
  expect(await PlainCommand.updateAll({ slug: ['1', null] }, { content: null, meta: ['x'] })).toBe(
    1,
  )
  const log = await watchStatements(fixture.db.name)
  await expect(PlainCommand.deleteAll({})).rejects.toThrow(InvalidArgumentError)
  await expect(PlainCommand.deleteAll(undefined as never)).rejects.toThrow(InvalidArgumentError)
  await expect(PlainCommand.deleteAll({ slug: undefined } as never)).rejects.toThrow(
    InvalidArgumentError,
  )
  await expect(PlainCommand.deleteAll({ slug: ['1', undefined] } as never)).rejects.toThrow(
    InvalidArgumentError,
  )
  await expect(PlainCommand.updateAll({}, { views: 1 })).rejects.toThrow(InvalidArgumentError)
  expect(await log.texts()).toEqual([])
  expect(await PlainCommand.deleteAll({ slug: [] })).toBe(0)
  expect(await PlainCommand.deleteAll({ views: 5, content: null })).toBe(2)
})

test('delete, increment', async () => {
  const { id } = await PlainCommand.create({ title: 'a' })
  expect(await PlainCommand.increment(id, 'views')).toMatchObject({ views: 1 })
  expect(await PlainCommand.increment(id, 'views', -3)).toMatchObject({ views: -2 })
  await expect(PlainCommand.increment(id, 'views', Number.NaN)).rejects.toThrow(
    InvalidArgumentError,
  )
  await expect(PlainCommand.increment(id, 'views = 0 --' as never)).rejects.toThrow(
    InvalidArgumentError,
  )
  expect(await PlainCommand.delete(id)).toBe(true)
  expect(await PlainCommand.delete(id)).toBe(false)
  await expect(PlainCommand.increment(id, 'views')).rejects.toThrow(RecordNotFoundError)
})

test('a write that fails with 0A000 is sent once', async () => {
  await fixture.db.admin.query(`
    CREATE SEQUENCE runs;
    CREATE FUNCTION unsupported() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      PERFORM nextval('runs'); RAISE feature_not_supported USING MESSAGE = 'not here'; END $$;
    CREATE TRIGGER unsupported BEFORE INSERT ON pairs FOR EACH ROW WHEN (NEW.a = 666) EXECUTE FUNCTION unsupported();
  `)
  await expect(PairCommand.create({ a: 666, b: 'x' })).rejects.toMatchObject({ code: '0A000' })
  expect((await fixture.db.admin.query('SELECT last_value::int AS n FROM runs')).rows).toEqual([
    { n: 1 },
  ])
})

test('a column added later does not break a prepared write, nor repeat it', async () => {
  for (let a = 1; a <= 3; a++) await PairCommand.create({ a, b: 'x' })
  await fixture.db.admin.query('ALTER TABLE pairs ADD COLUMN later int DEFAULT 6')
  for (let a = 4; a <= 6; a++)
    expect(await PairCommand.create({ a, b: 'x' })).toMatchObject({ a, later: 6 })
  expect((await fixture.db.admin.query('SELECT count(*)::int AS n FROM pairs')).rows).toEqual([
    { n: 6 },
  ])
})
