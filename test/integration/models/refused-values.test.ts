import { expect, test } from 'vitest'
import {
  CheckViolationError,
  ForeignKeyViolationError,
  InvalidArgumentError,
  InvalidValueError,
  NotNullViolationError,
  UniqueViolationError,
} from '../../../src/errors.ts'
import { watchStatements } from '../../support/servers.ts'
import { CommentCommand, PlainCommand, fixture } from './commands.ts'

test('refused values become typed errors without row data', async () => {
  const { id } = await PlainCommand.create({ title: 'a', slug: 'taken-secret' })
  const errorOf = (promise: Promise<unknown>): Promise<Error> =>
    promise.then(
      () => new Error('was accepted'),
      (error: Error) => error,
    )
  const unique = await errorOf(PlainCommand.create({ title: 'b', slug: 'taken-secret' }))
  expect(unique).toBeInstanceOf(UniqueViolationError)
  expect(unique).toMatchObject({
    table: 'posts',
    column: 'slug',
    constraint: 'posts_slug_key',
    sqlState: '23505',
  })
  const foreign = await errorOf(
    CommentCommand.create({ post_id: '00000000-0000-0000-0000-00000000cafe' }),
  )
  expect(foreign).toBeInstanceOf(ForeignKeyViolationError)
  expect(foreign).toMatchObject({
    table: 'comments',
    column: 'post_id',
    constraint: 'comments_post_id_fkey',
  })
  const missing = await errorOf(PlainCommand.create({ content: 'secret' }))
  expect(missing).toBeInstanceOf(NotNullViolationError)
  expect(missing).toMatchObject({ table: 'posts', column: 'title' })
  const checked = await errorOf(PlainCommand.update(id, { views: 5_000 }))
  expect(checked).toBeInstanceOf(CheckViolationError)
  expect(checked).toMatchObject({ table: 'posts', constraint: 'posts_views_check' })
  const invalid = await errorOf(
    PlainCommand.update(id, { title: 'fine', views: 'secret' as never }),
  )
  expect(invalid).toBeInstanceOf(InvalidValueError)
  expect(invalid).toMatchObject({ table: 'posts', column: 'views', sqlState: '22P02' })
  expect(await errorOf(PlainCommand.create({ title: 'x'.repeat(300) }))).toMatchObject({
    sqlState: '22001',
  })
  expect(await errorOf(PlainCommand.create({ title: 'nul \0' }))).toBeInstanceOf(InvalidValueError)
  for (const error of [unique, foreign, missing, checked, invalid]) {
    expect(error.message).not.toMatch(/secret|cafe|5000|5_000/)
    expect(JSON.stringify(error)).not.toMatch(/secret|cafe/)
  }
})

test('keys that are no columns never reach the SQL', async () => {
  const log = await watchStatements(fixture.db.name)
  for (const key of [
    'titel',
    'title") values (1); drop table posts; --',
    '__proto__',
    'constructor',
  ]) {
    const input = JSON.parse(`{"title": "a", ${JSON.stringify(key)}: "b"}`) as object
    await expect(PlainCommand.create(input)).rejects.toThrow(InvalidArgumentError)
    await expect(PlainCommand.updateAll({ title: 'a' }, input)).rejects.toThrow(
      InvalidArgumentError,
    )
    await expect(PlainCommand.deleteAll(input)).rejects.toThrow(InvalidArgumentError)
  }
  expect((await log.texts()).filter((text) => !text.includes('pg_attribute'))).toEqual([])
})
