import { expect, test } from 'vitest'
import { InvalidArgumentError, RecordNotFoundError } from '../../../src/errors.ts'
import { watchStatements } from '../../support/servers.ts'
import { Command, PairCommand, PlainCommand, TouchedCommand, fixture, stored } from './commands.ts'

test('save writes changed columns only, changes in place included', async () => {
  const post = await PlainCommand.create({ title: 'a', meta: { list: [1] }, tags: ['x'] })
  await fixture.db.admin.query(`UPDATE posts SET content = 'by another'`)
  const log = await watchStatements(fixture.db.name)
  await post.save()
  expect(await log.texts()).toEqual([])
  post.title = 'b'
  ;(post.meta as { list: number[] }).list.push(2)
  expect(await post.save()).toBe(post)
  expect(await stored(post.id)).toMatchObject({
    title: 'b',
    content: 'by another',
    meta: { list: [1, 2] },
  })
  expect(post.content).toBe('by another')
  const [sent] = (await log.texts('master')).filter((text) => text.startsWith('update'))
  expect(sent).toMatch(/^update "posts" set "title" = \$1, "meta" = \$2 where "id" = \$3/)
  await post.update({ title: 'c' })
  expect(post.title).toBe('c')
  post.title = undefined as never
  await expect(post.save()).rejects.toThrow(InvalidArgumentError)
})

test('save inserts a new instance, keeps to its row when its key changes, and destroy ends it', async () => {
  const pair = new PairCommand()
  pair.a = 1
  pair.b = 'x'
  await pair.save()
  expect(pair).toMatchObject({ a: 1, b: 'x', value: null })
  pair.b = 'y'
  await pair.save()
  expect((await fixture.db.admin.query('SELECT * FROM pairs')).rows).toEqual([
    { a: 1, b: 'y', value: null },
  ])
  expect(await pair.destroy()).toBe(true)
  pair.value = 5
  await expect(pair.save()).rejects.toThrow(RecordNotFoundError)
  expect((await fixture.db.admin.query('SELECT * FROM pairs')).rows).toEqual([])
})

test('a row whose table has no key is written all the same', async () => {
  class Keyless extends Command {
    static override tableName = 'keyless'
    declare value: number
  }
  const row = await Keyless.create({ value: 1 })
  expect(row.value).toBe(1)
  row.value = 2
  await expect(row.save()).rejects.toThrow(InvalidArgumentError)
})

test('timestamps', async () => {
  const post = await TouchedCommand.create({ title: 'a' })
  expect(post.updated_at.getFullYear()).toBeGreaterThan(2020)
  await fixture.db.admin.query(`UPDATE posts SET updated_at = '2020-01-01'`)
  expect(
    (await TouchedCommand.update(post.id, { title: 'b' })).updated_at.getFullYear(),
  ).toBeGreaterThan(2020)
  expect(
    (await TouchedCommand.update(post.id, { updated_at: new Date('2021-05-05') })).updated_at,
  ).toEqual(new Date('2021-05-05'))
  await TouchedCommand.updateAll({ id: post.id }, { title: 'c' })
  expect((await stored(post.id))['updated_at']).not.toEqual(new Date('2021-05-05'))
  await fixture.db.admin.query(`UPDATE posts SET updated_at = '2020-01-01'`)
  expect(
    (await TouchedCommand.increment(post.id, 'views')).updated_at.getFullYear(),
  ).toBeGreaterThan(2020)
})

test('lock holds the row until its function ends', async () => {
  const { id } = await PlainCommand.create({ title: 'a', views: 0 })
  await Promise.all(
    Array.from({ length: 5 }, () =>
      PlainCommand.lock(id, async (post) => post.update({ views: post.views + 1 })),
    ),
  )
  expect(await stored(id)).toMatchObject({ views: 5 })
  await expect(
    PlainCommand.lock('00000000-0000-0000-0000-000000000000', async () => 1),
  ).rejects.toThrow(RecordNotFoundError)
  expect(await PlainCommand.lock(id, async () => 'given back')).toBe('given back')
})

test('transaction: all or nothing', async () => {
  const failing = PlainCommand.transaction(async () => {
    await PlainCommand.create({ title: 'gone' })
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  expect((await fixture.db.admin.query('SELECT * FROM posts')).rows).toEqual([])
})
