import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import { build, type Built } from '../../support/built.ts'
import { runEverywhere } from '../../support/everywhere.ts'
import { clientFor } from '../../support/shared-cluster.ts'
import { dial } from '../../unit/web/http.ts'
import type { Choice, Front } from './fronts.ts'

/** Replicas that show nothing new: one is paused, the other an hour late. */
let servers: TestCluster
let built: Built
let script: string
/** Two that share their key, and one of somebody else. */
let processes: Process[] = []

beforeAll(async () => {
  built = build()
  mkdirSync(join(built.directory, 'test'))
  script = join(built.directory, 'test/fronts.js')
  const { outputText } = ts.transpileModule(
    readFileSync(join(import.meta.dirname, 'fronts.ts'), 'utf8'),
    {
      fileName: 'fronts.mts',
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.NodeNext,
        verbatimModuleSyntax: true,
      },
    },
  )
  writeFileSync(script, outputText)
  servers = await startCluster({ replicas: 2 })
  await runEverywhere(servers, 'CREATE TABLE posts (id text PRIMARY KEY)')
  await servers.pauseReplay('replica1')
  await servers.setApplyDelay('replica2', 3_600_000)
  const shared = 'a secret that the processes share'
  processes = await Promise.all([shared, shared, 'a secret of somebody else'].map(startProcess))
})
afterAll(async () => {
  for (const { child } of processes) child.kill()
  await servers?.close()
  built?.remove()
})

const onPrimary = async (text: string): Promise<readonly Record<string, unknown>[]> => {
  const client = clientFor(servers.config.master)
  await client.connect()
  try {
    return (await client.query(text)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}

const FRONTS: readonly Front[] = ['node', 'express', 'fastify', 'koa', 'hono']

/** A process of its own, with its own connections and its own idea of what was written. */
interface Process {
  readonly child: ChildProcess
  readonly ports: Readonly<Record<string, number>>
}

const startProcess = async (key: string): Promise<Process> => {
  const config = JSON.stringify({ ...servers.config, settings: { waitTimeoutMs: 50 } })
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, CONFIG: config, TOKEN_KEY: key },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { child, ports: JSON.parse(line) as Record<string, number> }
}

interface Server {
  readonly port: number
  readonly send: (
    method: string,
    path: string,
    headers?: Record<string, string>,
    body?: string,
  ) => Promise<{ status: number; text: string; headers: Headers; token: string | undefined }>
}

const serverOf = ({ ports }: Process, front: Front, choice: Choice = 'usual'): Server => {
  const port = ports[`${front} ${choice}`]!
  return {
    port,
    send: async (method, path, headers = {}, body) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'text/plain' }), ...headers },
        ...(body !== undefined && { body }),
      })
      const own = response.headers.getSetCookie().find((each) => each.startsWith('segregato='))
      return {
        status: response.status,
        text: await response.text(),
        headers: response.headers,
        token: own?.split(';')[0],
      }
    },
  }
}

let ids = 0
const nextId = (): string => `post-${++ids}`

describe.each(FRONTS)('%s', (front) => {
  test('another process shows what a client has written, to that client', async () => {
    const [one, two] = [serverOf(processes[0]!, front), serverOf(processes[1]!, front)]
    const id = nextId()
    const written = await one.send('POST', `/write/x/201`, {}, id)
    expect(written).toMatchObject({ status: 201, text: 'written' })
    const [own, ...more] = written.headers.getSetCookie().toSorted()
    expect(own).toMatch(/^own=1/)
    expect(more).toEqual([
      expect.stringMatching(
        /^segregato=[\w.-]{20,128}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/,
      ),
    ])
    const cookie = written.token!

    // The servers do lag: without the cookie the post is missed.
    expect((await two.send('GET', `/read/${id}`)).text).toBe('false')
    for (const path of ['read', 'read-stream']) {
      const read = await two.send('GET', `/${path}/${id}`, { cookie: `a=b; ${cookie}` })
      expect(read, path).toMatchObject({ status: 200 })
      expect(read.text, path).toMatch(/true$/)
      // It has only read: nothing to give back.
      expect(read.token, path).toBeUndefined()
    }
    expect((await two.send('GET', `/read-stream/${id}`)).text).toBe('it is false')

    // Goes on from there: the next token covers both writes.
    const second = await two.send('POST', `/write/${nextId()}`, { cookie })
    expect(second.token).toBeDefined()
    expect(second.token).not.toBe(cookie)
    expect((await one.send('GET', `/read/post-${ids}`, { cookie: second.token! })).text).toBe(
      'true',
    )
  })

  test('each kind of response brings the token', async () => {
    const { send } = serverOf(processes[0]!, front)
    const stream = await send('POST', `/write-stream/${nextId()}`)
    expect(stream).toMatchObject({ status: 200, text: 'onetwothree', token: expect.any(String) })
    const head = await send('HEAD', `/write/${nextId()}`)
    expect(head).toMatchObject({ status: 200, text: '', token: expect.any(String) })
    const notModified = await send('GET', `/write/${nextId()}/304`)
    expect(notModified).toMatchObject({ status: 304, text: '', token: expect.any(String) })
    // The write has been done, whatever failed then.
    const failed = await send('POST', `/fail/${nextId()}`)
    expect(failed).toMatchObject({ status: 500, token: expect.any(String) })
    for (const status of [200, 404]) {
      const nothing = await send('GET', `/nothing/0/${status}`)
      expect(nothing).toMatchObject({ status, text: 'nothing', token: undefined })
    }
    expect((await send('GET', `/read/none`)).token).toBeUndefined()
  })

  test('cookies that are no tokens count as none', async () => {
    const { send, port } = serverOf(processes[0]!, front)
    const foreign = serverOf(processes[2]!, front)
    const { token: forged } = await foreign.send('POST', `/write/${nextId()}`)
    const bad = ['segregato=', 'segregato=%0d%0a', '=', ';;;', `${forged}`, `${forged}x`]
    for (const cookie of [...bad, `segregato=${'x'.repeat(8_000)}`]) {
      const read = await send('GET', `/read/${nextId()}`, { cookie })
      expect(read, cookie).toMatchObject({ status: 200, text: 'false' })
    }
    // Twice, of which one is good.
    const { token } = await send('POST', `/write/${nextId()}`)
    const twice = await send('GET', `/read/post-${ids}`, { cookie: `segregato=!; ${token}` })
    expect(twice.text).toBe('true')

    const folded = dial(port)
    folded.socket.write(
      'GET /read/1 HTTP/1.1\r\nHost: here\r\nConnection: close\r\nCookie: segregato=a\r\n b\r\n\r\n',
    )
    expect(await folded.all).toMatch(/^HTTP\/1\.1 [24]00 /)
    const huge = dial(port)
    huge.socket.write(`GET / HTTP/1.1\r\nCookie: segregato=${'x'.repeat(10_000_000)}\r\n\r\n`)
    await huge.all
    expect((await send('GET', `/read/1`)).status).toBe(200)
  })

  test('a header instead of the cookie', async () => {
    const one = serverOf(processes[0]!, front, 'header')
    const two = serverOf(processes[1]!, front, 'header')
    const id = nextId()
    const written = await one.send('POST', `/write/${id}`)
    expect(written.token).toBeUndefined()
    const seen = written.headers.get('x-seen')
    expect(seen).toMatch(/^[\w.-]{20,128}$/)
    expect((await two.send('GET', `/read/${id}`)).text).toBe('false')
    expect((await two.send('GET', `/read/${id}`, { 'x-seen': seen! })).text).toBe('true')
  })

  test('when asked to, what was only read comes back too, and only if there is more', async () => {
    const { send } = serverOf(processes[0]!, front, 'monotonic')
    const { token } = await send('GET', `/read/none`)
    expect(token).toBeDefined()
    expect((await send('GET', `/nothing/0`)).token).toBeUndefined()
  })

  test('a client that goes away in the middle of a write leaves nothing behind', async () => {
    const { send, port } = serverOf(processes[0]!, front)
    const id = nextId()
    const client = clientFor(servers.config.master)
    await client.connect()
    try {
      await client.query('BEGIN')
      await client.query('LOCK TABLE posts IN SHARE MODE')
      const { socket } = dial(port)
      socket.write(`POST /write/${id} HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n`)
      const waits = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`
      await expect.poll(async () => (await onPrimary(waits)).length).toBe(1)
      socket.destroy()
    } finally {
      await client.query('COMMIT')
      await client.end()
    }
    await expect
      .poll(async () => onPrimary(`SELECT id FROM posts WHERE id = '${id}'`))
      .toEqual([{ id }])
    const next = await send('POST', `/write/${nextId()}`)
    expect(next).toMatchObject({ status: 200, token: expect.any(String) })
  })

  test('health, readiness and metrics', async () => {
    const { send } = serverOf(processes[0]!, front)
    const health = await send('GET', '/health')
    expect([health.status, JSON.parse(health.text)]).toEqual([200, { status: 'ok' }])
    const ready = await send('GET', '/ready')
    expect([ready.status, JSON.parse(ready.text)]).toEqual([
      200,
      { status: 'ready', reads: 'ok', writes: 'ok' },
    ])
    await send('POST', `/write/${nextId()}`)
    const metrics = await send('GET', '/metrics')
    expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(metrics.text).toMatch(/^segregato_writes_total\{node="master"\} \d+$/m)
    expect(metrics.text).toMatch(/^segregato_reads_total\{node="replica\d",.*\} \d+$/m)
    for (const { headers, token } of [health, ready, metrics]) {
      expect(headers.get('cache-control')).toBe('no-store')
      expect(token).toBeUndefined()
    }
    const { password, host, port, username } = servers.config.master
    for (const secret of [password, host, String(port), `"${username}"`, 'INSERT'])
      expect(metrics.text).not.toContain(secret)
  })
})
