import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { freePorts } from '../../../src/testing/ports.ts'
import { run } from '../../support/program.ts'
import { watchStatements } from '../../support/servers.ts'
import { type Answer, SCHEMA, useApplication } from './application.ts'

const fixture = useApplication()

const stored = async (): Promise<object[]> =>
  (await fixture.db.admin.query('SELECT title, content FROM posts ORDER BY created_at')).rows

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/

describe('what works', () => {
  test('a post is created, listed and shown', async () => {
    const { get, post } = await fixture.start()
    expect(await get('/posts')).toMatchObject({ status: 200, body: { count: 0, posts: [] } })
    const created = await post({ title: 'Hello', content: 'World' })
    expect(created).toMatchObject({ status: 201, body: { message: 'Post berhasil dibuat.' } })
    const { id } = created.body as { id: string }
    expect(id).toMatch(UUID)
    expect(Object.keys(created.body as object)).toEqual(['message', 'id'])
    expect(created.headers.get('location')).toBe(`/posts/${id}`)
    expect(created.headers.get('content-type')).toMatch(/^application\/json/)
    await fixture.db.replicated()
    const shown = { id, title: 'Hello', content: 'World' }
    expect((await get('/posts')).body).toEqual({ count: 1, posts: [shown] })
    expect(await get(`/posts/${id}`)).toMatchObject({ status: 200, body: shown })
    expect((await get(`/posts/${id}`)).body).toEqual(shown)
  })

  test('content may be absent or null', async () => {
    const { post } = await fixture.start()
    expect((await post({ title: 'One' })).status).toBe(201)
    expect((await post({ title: 'Two', content: null })).status).toBe(201)
    expect(await stored()).toEqual([
      { title: 'One', content: null },
      { title: 'Two', content: null },
    ])
  })

  test('POST runs on the primary, GETs run on the replicas in turn', async () => {
    const { get, post } = await fixture.start()
    const log = await watchStatements(fixture.db.name)
    const created = await post({ title: 'Hello' })
    const { id } = created.body as { id: string }
    const inserts = await log.statements()
    expect(inserts.filter(({ text }) => text.startsWith('insert into "posts"'))).toHaveLength(1)
    expect(new Set(inserts.map(({ server }) => server))).toEqual(new Set(['master']))

    await fixture.db.replicated()
    const turns: string[] = []
    for (const path of ['/posts', '/posts', `/posts/${id}`, '/posts', `/posts/${id}`, '/posts']) {
      const each = await watchStatements(fixture.db.name)
      expect((await get(path)).status).toBe(200)
      const statements = await each.statements()
      expect(statements.map(({ text }) => text)).toEqual([
        expect.stringMatching(/^select \* from "posts"/),
      ])
      turns.push(statements[0]!.server)
    }
    expect(new Set(turns)).toEqual(new Set(['replica1', 'replica2']))
    turns.slice(1).forEach((server, index) => expect(server).not.toBe(turns[index]))
  })

  test('SQL in a title is a title', async () => {
    const { post } = await fixture.start()
    const title = `'); DROP TABLE posts; --", $1 \\' \${x} 🙂`
    expect((await post({ title })).status).toBe(201)
    expect(await stored()).toEqual([{ title, content: null }])
  })

  test('keys that are not the business of clients are left out', async () => {
    const { post } = await fixture.start()
    const id = '00000000-0000-4000-8000-000000000000'
    const text = `{"title":"Mine","id":"${id}","created_at":"1999-01-01","__proto__":{"content":"x"},"constructor":1}`
    const { status, body } = await post(text)
    expect(status).toBe(201)
    expect((body as { id: string }).id).not.toBe(id)
    expect(await stored()).toEqual([{ title: 'Mine', content: null }])
  })

  test('HEAD is answered like GET', async () => {
    const { url } = await fixture.start()
    expect((await fetch(`${url}/posts`, { method: 'HEAD' })).status).toBe(200)
  })
})

describe('what clients do wrong', () => {
  const TOO_LARGE = JSON.stringify({ title: 'x', content: 'y'.repeat(10 * 1024 * 1024) })
  const NOT_JSON = { 'content-type': 'application/x-www-form-urlencoded' }

  test.each<[string, number, unknown, Record<string, string>?]>([
    ['broken JSON', 400, '{"title":'],
    ['a text in place of an object', 400, '"title"'],
    ['null in place of an object', 400, 'null'],
    ['what is not compressed as it says', 400, '{"title":"x"}', { 'content-encoding': 'gzip' }],
    ['10 MB', 413, TOO_LARGE],
    ['10 MB, compressed', 413, gzipSync(TOO_LARGE), { 'content-encoding': 'gzip' }],
    ['a form', 415, 'title=x', NOT_JSON],
    ['10 MB that are no JSON', 415, TOO_LARGE, NOT_JSON],
    ['a type that there is not', 415, '{"title":"x"}', { 'content-type': 'x' }],
    ['an unknown charset', 415, '{}', { 'content-type': 'application/json; charset=klingon' }],
    ['an unknown compression', 415, '{}', { 'content-encoding': 'klingon' }],
  ])('%s is refused, and no server hears of it', async (_name, status, body, headers) => {
    const { post, program } = await fixture.start()
    const log = await watchStatements(fixture.db.name)
    const answer = await post(body, headers)
    expect(answer).toEqual({
      status,
      body: { error: expect.stringMatching(/^[A-Z][\w ./]+$/) },
      headers: expect.anything(),
    })
    expect(await log.statements()).toEqual([])
    // Not a failure of ours: nothing for the log.
    expect(program.lines).toHaveLength(1)
  })

  test.each<[string, unknown, readonly string[]]>([
    ['nothing', '', ['title']],
    ['an empty object', {}, ['title']],
    ['an empty title', { title: '' }, ['title']],
    ['a blank title', { title: ' \t\n ' }, ['title']],
    ['null as title', { title: null }, ['title']],
    ['a number as title', { title: 1 }, ['title']],
    ['an object as title', { title: { $ne: '' } }, ['title']],
    ['a list as title', { title: ['x'] }, ['title']],
    ['256 characters as title', { title: 'x'.repeat(256) }, ['title']],
    ['a number as content', { title: 'x', content: 1 }, ['content']],
    ['two mistakes', { content: false }, ['title', 'content']],
    ['a list', [{ title: 'x' }], ['']],
  ])(
    '%s is no post: 422 with the issues, and no server hears of it',
    async (_name, body, paths) => {
      const { post } = await fixture.start()
      const log = await watchStatements(fixture.db.name)
      const answer = await post(body)
      expect(answer.status).toBe(422)
      const { error, issues } = answer.body as { error: string; issues: Issue[] }
      expect(error).toBe('The post is not valid.')
      expect(issues.map(({ path }) => path.join('.'))).toEqual(paths)
      expect(issues.every(({ message }) => message.length > 0)).toBe(true)
      expect(await log.statements()).toEqual([])
    },
  )

  interface Issue {
    readonly message: string
    readonly path: readonly string[]
  }

  test('a title that the database cannot hold is no post either', async () => {
    const { post } = await fixture.start()
    expect(await post({ title: 'a\u0000b' })).toMatchObject({
      status: 422,
      body: { issues: [{ message: expect.any(String) }] },
    })
    expect(await stored()).toEqual([])
  })

  test.each([
    ['a number', '1'],
    ['a uuid of no post', '00000000-0000-4000-8000-000000000000'],
    ['null', 'null'],
    ['SQL', "'%20OR%201=1%20--"],
    ['a NUL character', '%00'],
    ['10,000 characters', 'a'.repeat(10_000)],
  ])('%s is the id of no post', async (_name, id) => {
    const { get, program } = await fixture.start()
    expect(await get(`/posts/${id}`)).toMatchObject({
      status: 404,
      body: { error: 'There is no such post.' },
    })
    expect(program.lines).toHaveLength(1)
  })

  test.each([
    ['GET', '/'],
    ['GET', '/posts/1/comments'],
    ['DELETE', '/posts'],
    ['PUT', '/posts/1'],
  ])('there is no such route: %s %s', async (method, path) => {
    const { get } = await fixture.start()
    expect(await get(path, { method })).toMatchObject({
      status: 404,
      body: { error: 'Not found.' },
    })
  })

  test('a path that cannot be decoded is a mistake of the client', async () => {
    const { get } = await fixture.start()
    expect(await get('/posts/%E0%A4%A')).toMatchObject({
      status: 400,
      body: { error: 'The request is not valid.' },
    })
  })
})

test('a failure here is a 500 without the message, which stands in the log', async () => {
  const { get, post, program } = await fixture.start()
  await fixture.db.admin.query('ALTER TABLE posts RENAME TO secret_posts')
  try {
    await fixture.db.replicated()
    const answers = [await get('/posts'), await post({ title: 'x' })]
    for (const { status, body } of answers) {
      expect({ status, body }).toEqual({ status: 500, body: { error: 'Internal Server Error' } })
    }
    await program.line(/relation "posts" does not exist/)
  } finally {
    await fixture.db.admin.query('ALTER TABLE secret_posts RENAME TO posts')
  }
  await fixture.db.replicated()
  expect((await get('/posts')).status).toBe(200)
})

/** The system's code for a request that got no answer. */
const codeOf = (request: Promise<Response>): Promise<unknown> =>
  request.then(
    () => 'answered',
    ({ cause }: { cause?: { code?: unknown } }) => cause?.code,
  )

test('SIGTERM lets a running request finish, and leaves no connection', async () => {
  const { db } = fixture
  const { post, program, url } = await fixture.start()
  await db.admin.query('BEGIN')
  let running: Promise<Answer> | undefined
  try {
    await db.admin.query('LOCK TABLE posts IN SHARE MODE')
    running = post({ title: 'Late' })
    running.catch(() => undefined)
    const waits = `SELECT count(*)::int AS n FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`
    // A transaction sees what it has seen of the others' activity at first.
    const waiting = async (): Promise<unknown> => {
      await db.admin.query('SELECT pg_stat_clear_snapshot()')
      return (await db.admin.query(waits)).rows
    }
    await expect.poll(waiting).toEqual([{ n: 1 }])

    program.child.kill('SIGTERM')
    await program.line(/^Stopping/)
    await expect.poll(() => codeOf(fetch(`${url}/posts`))).toBe('ECONNREFUSED')
    expect(program.child.exitCode).toBeNull()
  } finally {
    await db.admin.query('COMMIT')
  }
  const answer = await running
  expect(answer).toMatchObject({ status: 201, body: { message: 'Post berhasil dibuat.' } })
  // The connection is not kept for a further request, which would hold up the end.
  expect(answer.headers.get('connection')).toBe('close')
  expect(await program.ended).toBe(0)
  expect(await stored()).toEqual([{ title: 'Late', content: null }])
  const sessions = `SELECT count(*)::int AS n FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'segregato'`
  for (const server of Object.keys(db.config)) {
    await expect.poll(async () => (await db.on(server).query(sessions)).rows).toEqual([{ n: 0 }])
  }
})

test('an idle connection of a browser does not hold up the end', async () => {
  const { get, program } = await fixture.start()
  // Kept open by fetch for the next request.
  await get('/posts')
  program.child.kill('SIGINT')
  expect(await program.ended).toBe(0)
  await program.line(/^Stopped$/)
})

test('a replica that is down at the start is named, and reads go round it', async () => {
  const [port] = await freePorts(1)
  const { db } = fixture
  const { get, program } = await fixture.start({
    ...db.config,
    replica3: { ...db.config.master, port },
  })
  await program.line(/^replica3: /)
  for (let turn = 0; turn < 6; turn++) expect((await get('/posts')).status).toBe(200)
})

test('without a configuration it says so and ends', async () => {
  const { DB_CONFIG: _, ...environment } = process.env
  const program = fixture.program('server.js')
  program.child.kill('SIGKILL')
  const script = program.child.spawnargs[1]!
  const lost = run([script], { cwd: '/', env: environment })
  expect(await lost.ended).toBe(1)
  expect(lost.lines).toEqual(["File 'database.yml' not found."])
})

test('create-table.js creates the table, and leaves one that is there', async () => {
  const { db } = fixture
  expect(SCHEMA).toContain('CREATE TABLE IF NOT EXISTS posts')
  await db.admin.query('DROP TABLE posts')
  expect(await fixture.program('create-table.js').ended).toBe(0)
  await db.admin.query(`INSERT INTO posts (title) VALUES ('kept')`)
  expect(await fixture.program('create-table.js').ended).toBe(0)
  expect(await stored()).toEqual([{ title: 'kept', content: null }])
})
