import { beforeAll, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import type { OpenSession } from '../../../src/cluster/session.ts'
import { useCluster } from '../../support/cluster.ts'

const fixture = useCluster('CREATE TABLE posts (id serial PRIMARY KEY)')
let cluster: Cluster
beforeAll(() => {
  cluster = fixture.open()
})

const INSERT = 'INSERT INTO posts DEFAULT VALUES'

test('a session knows at once whether it has read and written', async () => {
  await cluster.session(async (session) => {
    expect([session.hasRead, session.hasWritten]).toEqual([false, false])
    expect(await session.movedToken()).toBeUndefined()
    await cluster.reader.query('SELECT 1')
    expect([session.hasRead, session.hasWritten]).toEqual([true, false])
    await cluster.writer.query(INSERT)
    expect([session.hasRead, session.hasWritten]).toEqual([true, true])
  })
})

test.each<[string, () => Promise<unknown>]>([
  ['a statement', () => cluster.writer.query(INSERT)],
  ['a transaction', () => cluster.transaction(() => cluster.writer.query(INSERT))],
  [
    'a client',
    async () => {
      const client = await cluster.writer.connect()
      await client.query(INSERT)
      client.release()
    },
  ],
])('it has written by %s, and its token moves', async (_name, write) => {
  let kept: OpenSession | undefined
  await cluster.session(async (session) => {
    kept = session
    await write()
    expect(session.hasWritten).toBe(true)
  })
  // Outside, and after it has ended.
  const token = await kept!.movedToken()
  expect(token).toMatch(/^[\w.-]{1,128}$/)

  await cluster.session(
    async (session) => {
      expect([session.hasRead, session.hasWritten]).toEqual([false, false])
      expect(await session.movedToken()).toBeUndefined()
      await write()
      const next = await session.movedToken()
      expect(next).toBeDefined()
      expect(next).not.toBe(token)
    },
    { token },
  )
})

test('what others write is not what a session has written', async () => {
  await cluster.session(async (session) => {
    await fixture.db.admin.query(INSERT)
    await cluster.session(() => cluster.writer.query(INSERT))
    expect(session.hasWritten).toBe(false)
    expect(await session.movedToken()).toBeUndefined()
  })
})
