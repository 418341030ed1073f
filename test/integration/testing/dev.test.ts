import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse as parseEnvironment } from 'dotenv'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { freePorts } from '../../../src/testing/ports.ts'
import { build, type Built } from '../../support/built.ts'
import { pressCtrlC, type Program, run } from '../../support/program.ts'
import { leftOf, tracesOf, tracesOfAll } from '../../support/traces.ts'

let built: Built
beforeAll(() => {
  built = build()
})
afterAll(() => built.remove())

let project: string
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'segregato-project-'))
})
afterEach(() => rmSync(project, { recursive: true, force: true }))

const { DB_PASSWORD: _, ...environment } = process.env

const segregato = (...args: readonly string[]): Program =>
  run([built.path('cli/segregato.js'), ...args], { cwd: project, env: environment })

const READY = /^Press Ctrl-C/

const urls = (program: Program): readonly string[] =>
  program.lines.flatMap((line) => /^\S+ +(postgres:\/\/\S+)$/.exec(line)?.[1] ?? [])

const directoryOf = (program: Program): string =>
  program.lines
    .map((line) => /^Logs: (.+)\/<name>\.log$/.exec(line)?.[1])
    .find((path) => path !== undefined) ?? ''

const read = (name: string): string => readFileSync(join(project, name), 'utf8')

interface Node {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly username: string
}

test('it prints URLs that work, writes both files, and stops on Ctrl-C without a trace', async () => {
  const [port] = await freePorts(1)
  const program = segregato('dev', '--replicas', '1', '--port', String(port))
  await program.line(READY)
  expect(urls(program)).toHaveLength(2)
  const answers = []
  for (const url of urls(program)) {
    const client = new Client({ connectionString: url })
    await client.connect()
    answers.push(
      (await client.query<{ is: boolean }>('SELECT pg_is_in_recovery() AS is')).rows[0]?.is,
    )
    await client.end()
  }
  expect(answers).toEqual([false, true])

  const { development } = parseYaml(read('database.yml'), { merge: true }) as {
    development: Record<string, Node>
  }
  const password = parseEnvironment(read('.env'))['DB_PASSWORD']
  expect(Object.keys(development)).toEqual(['master', 'replica1'])
  expect(development['master']?.port).toBe(port)
  expect(read('database.yml')).not.toContain(password)
  expect(statSync(join(project, '.env')).mode & 0o077).toBe(0)
  const { host, port: replicaPort, database, username: user } = development['replica1']!
  const client = new Client({ host, port: replicaPort, database, user, password })
  await client.connect()
  await client.end()

  const traces = tracesOf(directoryOf(program))
  pressCtrlC(program)
  expect(await program.ended).toBe(0)
  expect(leftOf(traces)).toEqual({})
})

test('files that are there stay as they are, and their password goes on working', async () => {
  writeFileSync(join(project, 'database.yml'), 'mine: 1\n')
  writeFileSync(join(project, '.env'), "DB_PASSWORD='kept # one'\n")
  const program = segregato('dev', '--replicas', '1', '--port', '21500')
  await program.line(READY)
  expect(read('database.yml')).toBe('mine: 1\n')
  expect(read('.env')).toBe("DB_PASSWORD='kept # one'\n")
  await program.line(/^database\.yml is there already and was left as it is/)
  await program.line(/does not name the ports/)
  await program.line(/^\.env is there already and was left as it is/)
  expect(
    urls(program).every((url) => new URL(url).password === encodeURIComponent('kept # one')),
  ).toBe(true)
  program.child.kill('SIGTERM')
  expect(await program.ended).toBe(0)
})

test('a port that is taken is replaced by a free one', async () => {
  const [port] = await freePorts(1)
  const holder = await listen(port!)
  const program = segregato('dev', '--replicas', '1', '--port', String(port))
  await program.line(READY)
  expect(urls(program).map((url) => new URL(url).port)).not.toContain(String(port))
  pressCtrlC(program)
  expect(await program.ended).toBe(0)
  holder.close()
})

test('Ctrl-C while it starts stops it too', async () => {
  const program = segregato('dev')
  await program.line(/^Starting the primary/)
  const traces = tracesOfAll(program.clusters)
  pressCtrlC(program)
  expect(await program.ended).toBe(0)
  expect(leftOf(traces)).toEqual({})
})

test.each([
  [['--help'], 0, /^Usage: segregato <command>/],
  [['dev', '--help'], 0, /--replicas <number>/],
  [['--version'], 0, /^\d+\.\d+\.\d+/],
  [[], 2, /^Usage/],
  [['fly'], 2, /^There is no command 'fly'/],
  [['dev', '--replicas', 'many'], 2, /^--replicas takes a whole number from 1 to 20, not 'many'/],
  [['dev', '--port', '70000'], 2, /^--port takes a whole number/],
  [['dev', '--unknown'], 2, /^Unknown option '--unknown'/],
] as const)('segregato %j', async (args, status, said) => {
  const program = segregato(...args)
  expect(await program.ended).toBe(status)
  await program.line(said)
})

const listen = (port: number): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer()
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
