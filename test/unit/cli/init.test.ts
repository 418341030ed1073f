import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse as parseEnvironment } from 'dotenv'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import { composeFile } from '../../../src/cli/init-compose.ts'
import { init } from '../../../src/cli/init.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { ROOT } from '../../support/documents.ts'

interface Compose {
  readonly name?: string
  readonly services: Record<string, Service>
  readonly volumes: Record<string, unknown>
  readonly configs: Record<string, { readonly content: string }>
}
interface Service {
  readonly ports: readonly string[]
  readonly volumes: readonly string[]
  readonly environment: Record<string, string>
  readonly entrypoint: readonly string[]
  readonly configs: readonly { readonly source: string; readonly target: string }[]
}

const before = process.cwd()
let said: string[]
beforeEach(() => {
  process.chdir(mkdtempSync(join(tmpdir(), 'segregato-init-')))
  for (const name of Object.keys(process.env)) {
    if (/^(?:PG|DB_|NODE_ENV$|PRIMARY_PORT|REPLICA)/.test(name)) vi.stubEnv(name, undefined)
  }
  said = []
  vi.spyOn(console, 'log').mockImplementation((text: string) => void said.push(text))
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  const directory = process.cwd()
  process.chdir(before)
  rmSync(directory, { recursive: true })
})

const readCompose = (path = 'compose.yml'): Compose =>
  parse(readFileSync(path, 'utf8'), { merge: true }) as Compose

/** A value as Compose sees it. */
const expand = (text: string, variables: Record<string, string>): string =>
  text.replace(
    /\$\{(\w+)(?::-([^}]*))?\}/g,
    (_, name: string, fallback = '') => variables[name] ?? fallback,
  )

test('the three files load and fit each other', async () => {
  expect(await init({})).toBe(0)
  const variables = parseEnvironment(readFileSync('.env'))
  const { services } = readCompose()
  const { environment, primary, replicas } = loadConfig()
  expect(environment).toBe('development')
  expect(Object.keys(services)).toEqual(['primary', ...replicas.map(({ name }) => name)])
  expect(replicas.length).toBe(2)
  const ports = Object.values(services).map(({ ports: [port] }) => expand(port!, variables))
  expect([primary, ...replicas].map(({ port }) => `127.0.0.1:${port}:${port}`)).toEqual(ports)
  const { APP_USER, APP_PASSWORD, APP_DATABASES } = services['primary']!.environment
  expect(primary.username).toBe(expand(APP_USER!, variables))
  expect(await primary.password.reveal()).toBe(expand(APP_PASSWORD!, variables))
  expect(expand(APP_DATABASES!, variables).split(' ')).toContain(primary.database)
  expect(variables['REPLICATION_PASSWORD']).toMatch(/^[\w-]{24}$/)
  expect(statSync('.env').mode & 0o077).toBe(0)
  expect(said.join('\n')).toMatch(
    /wrote {2}database\.yml.*\nwrote {2}\.env.*\nwrote {2}compose\.yml/,
  )
  expect(said.join('\n')).not.toContain(variables['DB_PASSWORD'])
})

test('another port in .env moves the server and its node', async () => {
  await init({})
  writeFileSync('.env', readFileSync('.env', 'utf8') + 'REPLICA1_PORT=6001\n')
  expect(loadConfig().replicas[0]?.port).toBe(6001)
  expect(expand(readCompose().services['replica1']!.ports[0]!, { REPLICA1_PORT: '6001' })).toBe(
    '127.0.0.1:6001:6001',
  )
})

test('--single: one server, which the file permits', async () => {
  await init({ single: true })
  const compose = readCompose()
  expect(Object.keys(compose.services)).toEqual(['primary'])
  expect(Object.keys(compose.volumes)).toEqual(['primary'])
  const { replicas, settings } = loadConfig()
  expect(replicas).toEqual([])
  expect(settings.allowSameServer).toBe(true)
})

test('the compose file needs no other file: the script is inside it', () => {
  const { text } = composeFile({ single: false })
  const compose = parse(text, { merge: true }) as Compose
  // Compose takes $$ for $, and would replace what stands after a single one.
  const { content } = compose.configs['server']!
  expect(content.replaceAll('$$', '')).not.toContain('$')
  expect(content.replaceAll('$$', '$')).toBe(readFileSync(join(ROOT, 'docker/server.sh'), 'utf8'))
  for (const service of Object.values(compose.services)) {
    expect(service.volumes.filter((volume) => volume.startsWith('.'))).toEqual([])
    expect(service.configs).toEqual([{ source: 'server', target: '/segregato/server.sh' }])
    expect(service.entrypoint).toContain('/segregato/server.sh')
  }
  expect(compose.name).toBeUndefined()
})

test('what is there stays as it is', async () => {
  writeFileSync('database.yml', 'development:\n  master: { port: 7000 }\n  r1: { port: 7001 }\n')
  writeFileSync('.env', 'OTHER=1\n')
  writeFileSync('docker-compose.yaml', 'services: {}\n')
  await init({})
  expect(readFileSync('database.yml', 'utf8')).toContain('7000')
  expect(readFileSync('.env', 'utf8')).toBe('OTHER=1\n')
  expect(readFileSync('docker-compose.yaml', 'utf8')).toBe('services: {}\n')
  expect(existsSync('compose.yml')).toBe(false)
  const output = said.join('\n')
  expect(output).toMatch(/left {3}database\.yml.*\nleft {3}\.env.*\nleft {3}docker-compose\.yaml/)
})

test('a .env without the password', async () => {
  writeFileSync('.env', 'OTHER=1\n')
  await init({})
  expect(said.at(-2)).toContain('.env has no DB_PASSWORD')
})

test('a .env without the password, beside a compose file of the project’s own: both are said', async () => {
  writeFileSync('.env', 'OTHER=1\n')
  writeFileSync('compose.yaml', 'services: {}\n')
  await init({})
  expect(said.at(-2)).toBe(
    '\n.env has no DB_PASSWORD, which the other files need: add one of your choice\n' +
      'compose.yaml must have servers on the ports 5432, 5433, 5434',
  )
})

test('in a git repository it says when the passwords would be published', async () => {
  execFileSync('git', ['init', '--quiet'])
  await init({})
  expect(said.at(-2)).toBe('\ngit does not ignore .env: echo .env >>.gitignore')
  writeFileSync('.gitignore', '.env\n')
  await init({})
  expect(said.join('\n').match(/git does not ignore/g)).toHaveLength(1)
})

test('editors find the schema of database.yml', async () => {
  await init({})
  const [line] = readFileSync('database.yml', 'utf8').split('\n')
  expect(line).toBe(readFileSync(join(ROOT, 'database.example.yml'), 'utf8').split('\n')[0])
})

test('it says what does not fit the files of before', async () => {
  writeFileSync('database.yml', 'development:\n  master: { port: 7000 }\n  r1: { port: 7001 }\n')
  await init({})
  expect(said.at(-2)).toBe(
    '\ndatabase.yml names the ports 7000, 7001, and compose.yml 5432, 5433, 5434',
  )

  writeFileSync('database.yml', 'development: {}\n')
  rmSync('compose.yml')
  await init({})
  expect(said.at(-2)).toContain('database.yml cannot be used yet:\ndatabase.yml:1')

  rmSync('database.yml')
  await init({})
  expect(said.at(-2)).toBe('\ncompose.yml must have servers on the ports 5432, 5433, 5434')
})

test('called twice it changes nothing', async () => {
  await init({})
  const files = ['database.yml', '.env', 'compose.yml']
  const texts = files.map((path) => readFileSync(path, 'utf8'))
  said = []
  await init({ single: true })
  expect(files.map((path) => readFileSync(path, 'utf8'))).toEqual(texts)
  expect(said.join('\n')).not.toContain('wrote')
})
