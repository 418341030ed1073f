import { afterAll, beforeAll, expect, test } from 'vitest'
import { Client } from 'pg'
import { type FreshDatabase, freshDatabase, watchStatements } from '../../support/servers.ts'

let db: FreshDatabase
beforeAll(async () => {
  db = await freshDatabase()
})
afterAll(() => db.drop())

const connect = async (server: string, application: string): Promise<Client> => {
  const { host, port, database, username: user, password } = db.config[server]!
  const client = new Client({ host, port, database, user, password, application_name: application })
  await client.connect()
  return client
}

test('a fresh database is empty, on all servers, and its replicas follow', async () => {
  await db.admin.query('CREATE TABLE notes (body text)')
  await db.admin.query("INSERT INTO notes VALUES ('one'), ('two')")
  await db.replicated()
  for (const server of ['master', 'replica1', 'replica2']) {
    const { rows } = await db
      .on(server)
      .query('SELECT count(*)::int AS count, pg_is_in_recovery() AS replica FROM notes')
    expect(rows).toEqual([{ count: 2, replica: server !== 'master' }])
  }
})

test('two databases do not see each other, and a dropped one is gone', async () => {
  const other = await freshDatabase()
  await expect(other.admin.query('SELECT * FROM notes')).rejects.toMatchObject({ code: '42P01' })
  await other.drop()
  const { rows } = await db.admin.query('SELECT FROM pg_database WHERE datname = $1', [other.name])
  expect(rows).toEqual([])
})

test('a statement log tells what each server has received, and from whom', async () => {
  const log = await watchStatements(db.name)
  expect(await log.statements()).toEqual([])
  const primary = await connect('master', 'writer app')
  const replica = await connect('replica1', 'reader')
  await primary.query('SELECT 1,\n  2')
  await replica.query('SELECT $1::int', [3])
  await replica.query({ name: 'named', text: 'SELECT 4' })
  expect(await log.statements('master')).toEqual([
    {
      server: 'master',
      text: 'SELECT 1,\n  2',
      applicationName: 'writer app',
      user: 'segregato',
      pid: expect.any(Number),
    },
  ])
  expect(await log.texts('replica1')).toEqual(['SELECT $1::int', 'SELECT 4'])
  expect(await log.texts('replica2')).toEqual([])
  expect(await log.texts()).toHaveLength(3)
  await Promise.all([primary.end(), replica.end()])
})

test('a refused statement is in the log once, with the error, also when it failed while it was parsed', async () => {
  const log = await watchStatements(db.name)
  const replica = await connect('replica2', 'reader')
  await expect(replica.query('CREATE TABLE x ()')).rejects.toMatchObject({ code: '25006' })
  await expect(replica.query('SELEC 1')).rejects.toMatchObject({ code: '42601' })
  await expect(replica.query('SELECT nothing($1::int)', [1])).rejects.toMatchObject({
    code: '42883',
  })
  await replica.end()
  expect(await log.statements()).toMatchObject([
    { text: 'CREATE TABLE x ()', error: expect.stringContaining('read-only') },
    { text: 'SELEC 1', error: expect.stringContaining('syntax error') },
    { text: 'SELECT nothing($1::int)', error: expect.stringContaining('does not exist') },
  ])
})
