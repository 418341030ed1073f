/** The examples in several processes, on replicas that are late. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import PgBoss from 'pg-boss'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import { runEverywhere } from '../../support/everywhere.ts'
import { type Program, run } from '../../support/program.ts'
import { SCHEMA } from './application.ts'
import { buildExample, type BuiltExample } from './built-example.ts'

let servers: TestCluster
let built: BuiltExample
let directory: string

beforeAll(async () => {
  built = buildExample()
  servers = await startCluster({ replicas: 2 })
  directory = mkdtempSync(join(tmpdir(), 'segregato-processes-'))
  await runEverywhere(servers, SCHEMA)
})
afterAll(async () => {
  await servers?.close()
  built?.remove()
  rmSync(directory, { recursive: true, force: true })
})
/** One replica shows nothing new, the other everything an hour late. */
const makeLate = async (): Promise<void> => {
  await servers.pauseReplay('replica1')
  await servers.setApplyDelay('replica2', 3_600_000)
}
beforeEach(makeLate)
afterEach(async () => {
  await servers.resumeReplay('replica1')
  await servers.setApplyDelay('replica2', 0)
})

let projects = 0
const start = (script: string, args: readonly string[] = [], settings: object = {}): Program => {
  const project = join(directory, String(++projects))
  mkdirSync(project)
  writeFileSync(
    join(project, 'database.yml'),
    stringify({ development: { ...servers.config, settings } }),
  )
  const { NODE_ENV: _, ...environment } = process.env
  const env = { ...environment, PORT: '0', TOKEN_KEY: 'a secret that they share' }
  return run([script, ...args], { cwd: project, env })
}

const startServer = async (settings: object = {}): Promise<string> => {
  const [, port] = await start(built.path('server.js'), [], settings).line(
    /^Listening on port (\d+)$/,
  )
  return `http://127.0.0.1:${port}`
}

const write = async (url: string, title: string): Promise<{ id: string; cookie: string }> => {
  const response = await fetch(`${url}/posts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ title }),
  })
  expect(response.status).toBe(201)
  const { id } = (await response.json()) as { id: string }
  const [cookie] = response.headers.getSetCookie()
  expect(cookie).toMatch(/^segregato=[\w.-]+; Path=\/; .*HttpOnly; SameSite=Lax$/)
  return { id, cookie: cookie!.split(';')[0]! }
}

test('a GET answered by another process shows what the client has just posted', async () => {
  const [one, two] = await Promise.all([startServer(), startServer()])
  for (let turn = 0; turn < 5; turn++) {
    const { id, cookie } = await write(one, `Post ${turn}`)
    const read = await fetch(`${two}/posts/${id}`, { headers: { cookie } })
    expect(await read.json()).toEqual({ id, title: `Post ${turn}`, content: null })
    expect(read.headers.getSetCookie()).toEqual([])

    // Somebody else, who has not written it: the replicas do not have it yet.
    const other = await fetch(`${two}/posts/${id}`)
    expect(other.status).toBe(404)
    await other.arrayBuffer()
  }
})

test('a replica that is only slow is waited for, and answers itself', async () => {
  await servers.setApplyDelay('replica2', 300)
  const [one, two] = await Promise.all([startServer(), startServer({ wait_timeout_ms: 20_000 })])
  const { id, cookie } = await write(one, 'Slow')
  const read = await fetch(`${two}/posts/${id}`, { headers: { cookie } })
  expect(await read.json()).toMatchObject({ id, title: 'Slow' })
  const metrics = await (await fetch(`${two}/metrics`)).text()
  expect(metrics).toMatch(/^segregato_reads_total\{node="replica2",.*\} 1$/m)
  expect(metrics).not.toMatch(/^segregato_reads_total\{node="(?:master|replica1)"/m)
  const [, waits] = /^segregato_read_wait_seconds_sum (\S+)$/m.exec(metrics)!
  expect(Number(waits)).toBeGreaterThan(0)
})

test('a worker in another process sees the post that its job is about', async () => {
  const worker = start(built.path('worker.js', 'jobs'))
  await worker.line(/^Waiting for jobs$/)
  const [, withToken] = await start(built.path('enqueue.js', 'jobs'), ['Hello']).line(
    /^Enqueued (\S+)$/,
  )
  await worker.line(new RegExp(`^Announced ${withToken}: Hello$`))

  // The same job without a token misses the post that the one before has found.
  const boss = new PgBoss({ connectionString: servers.url('master'), supervise: false })
  onTestFinished(() => boss.stop({ graceful: false }))
  boss.on('error', () => {})
  await boss.start()
  await boss.send('announce', { postId: withToken })
  await worker.line(new RegExp(`^There is no post ${withToken}$`))

  worker.child.kill('SIGTERM')
  expect(await worker.ended).toBe(0)
  expect(worker.lines.at(-1)).toBe('Stopped')
})
