/** The compiled `server.js` of the example, on a database of the file that imports this. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { stringify } from 'yaml'
import { type Program, run } from '../../support/program.ts'
import { type FreshDatabase, freshDatabase } from '../../support/servers.ts'
import { buildExample, type BuiltExample, SOURCES } from './built-example.ts'

/** An answer of the application; every body has to be JSON. */
export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers: Headers
}

export interface Application {
  readonly program: Program
  readonly url: string
  readonly get: (path: string, init?: RequestInit) => Promise<Answer>
  /** A text or a buffer is sent as it is. */
  readonly post: (body: unknown, headers?: Record<string, string>) => Promise<Answer>
}

export interface Fixture {
  readonly db: FreshDatabase
  /** A compiled program of the example, in a directory with `database.yml` and `.env`. */
  program(file: string, configuration?: Record<string, object>): Program
  /** Starts `server.js`. It ends with the test. */
  start(configuration?: Record<string, object>): Promise<Application>
}

export const SCHEMA = readFileSync(join(SOURCES, 'schema.sql'), 'utf8')

export const useApplication = (): Fixture => {
  let db: FreshDatabase
  let built: BuiltExample
  let directory: string
  let projects = 0
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'segregato-example-'))
    built = buildExample()
    db = await freshDatabase()
    await db.admin.query(SCHEMA)
  })
  beforeEach(async () => {
    await db.admin.query('TRUNCATE posts')
    await db.replicated()
  })
  afterAll(async () => {
    await db.drop()
    built.remove()
    rmSync(directory, { recursive: true, force: true })
  })

  const program = (file: string, configuration: Record<string, object> = db.config): Program => {
    const project = join(directory, String(++projects))
    mkdirSync(project)
    const development = Object.fromEntries(
      Object.entries(configuration).map(([name, node]) => [
        name,
        { ...node, password: '${DB_PASSWORD}' },
      ]),
    )
    writeFileSync(join(project, 'database.yml'), stringify({ development }))
    writeFileSync(join(project, '.env'), `DB_PASSWORD=${db.config.master.password}\n`)
    const { NODE_ENV: _, ...environment } = process.env
    return run([built.path(file)], { cwd: project, env: { ...environment, PORT: '0' } })
  }
  const start = async (configuration?: Record<string, object>): Promise<Application> => {
    const server = program('server.js', configuration)
    const [, port] = await server.line(/^Listening on port (\d+)$/)
    return applicationAt(`http://127.0.0.1:${port}`, server)
  }
  return {
    get db() {
      return db
    },
    program,
    start,
  }
}

const applicationAt = (url: string, program: Program): Application => {
  const get = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(url + path, init)
    const { status, headers } = response
    return { status, headers, body: await response.json() }
  }
  const post = (body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    get('/posts', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body),
    })
  return { program, url, get, post }
}
