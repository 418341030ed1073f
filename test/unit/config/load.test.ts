import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { MINIMAL, errorOf, issueOf, issuesOf, loadText, useEmptySurroundings } from './helpers.ts'

const surroundings = useEmptySurroundings()

describe('a configuration that is in order', () => {
  test('the sample of the documentation', async () => {
    vi.stubEnv('DB_PASSWORD', 'secret')
    const config = loadText(`default: &default
  adapter: postgresql
  database: blog
  username: app
  password: \${DB_PASSWORD}
  host: localhost
  pool: 7
development:
  master:
    <<: *default
    port: 5432
  replica1:
    <<: *default
    port: 5433
  replica2:
    <<: *default
    port: 5434
    weight: 2
    tags: [analytics]
  settings:
    balancing: weighted
    max_lag_ms: 10000
`)
    expect(config.environment).toBe('development')
    expect(config.file).toBe(join(process.cwd(), 'database.yml'))
    expect(config.primary).toMatchObject({ name: 'master', role: 'primary', port: 5432, pool: 7 })
    expect(config.replicas).toMatchObject([
      {
        name: 'replica1',
        role: 'replica',
        port: 5433,
        database: 'blog',
        username: 'app',
        tags: [],
      },
      { name: 'replica2', port: 5434, weight: 2, tags: ['analytics'] },
    ])
    expect(config.settings).toEqual({
      balancing: 'weighted',
      maxLagMs: 10_000,
      allowSameServer: false,
      replicaShare: 1,
      consistency: 'session',
      outsideSession: 'process',
      waitTimeoutMs: 200,
      stickyMs: 5_000,
      fallbackShare: 0.25,
      probe: 'interval',
      readTimeoutMs: 5_000,
      writeTimeoutMs: 15_000,
      tokenMaxAgeMs: 604_800_000,
      onHistoryLost: 'error',
    })
    expect(config.notices).toEqual([])
    expect(await config.replicas[1]?.password.reveal()).toBe('secret')
  })

  test('is complete with the defaults', () => {
    const { primary, settings } = loadText(MINIMAL)
    expect(primary).toMatchObject({
      port: 5432,
      pool: 5,
      ssl: false,
      applicationName: 'segregato',
      connectTimeoutMs: 5_000,
      idleTimeoutMs: 10_000,
      maxLifetimeMs: 300_000,
      preparedStatements: true,
      pgbouncer: false,
      weight: 1,
      tags: [],
      variables: {},
    })
    expect(primary.statementTimeoutMs).toBeUndefined()
    expect(settings.maxLagMs).toBeUndefined()
  })

  test('is frozen all the way down, and so are the defaults in it', () => {
    const config = loadText(MINIMAL)
    const parts: object[] = [config, config.primary, config.replicas, config.settings]
    parts.push(config.notices, config.primary.tags, config.primary.variables)
    expect(parts.filter((part) => !Object.isFrozen(part))).toEqual([])
  })

  test('primary is a synonym of master', () => {
    expect(loadText(MINIMAL.replace('master', 'primary')).primary.name).toBe('primary')
  })

  test('does not change the environment of the process', () => {
    writeFileSync('.env', 'DB_ENV=development\nPGPORT=6000\n')
    const before = { ...process.env }
    loadText(MINIMAL)
    expect({ ...process.env }).toEqual(before)
  })
})

describe('the file', () => {
  test('missing', () => {
    expect(errorOf(() => loadConfig()).message).toBe("File 'database.yml' not found.")
    expect(errorOf(() => loadConfig({ config: 'no/such.yml' })).message).toBe(
      "File 'no/such.yml' not found.",
    )
  })

  test.each(['', '\n\n', '# nothing\n', '\u{feff}', '---\n'])('empty: %j', (text) => {
    expect(errorOf(() => loadText(text)).message).toBe("File 'database.yml' is empty.")
  })

  test('a directory', () => {
    mkdirSync('database.yml')
    expect(errorOf(() => loadConfig()).message).toContain('is a directory, not a regular file')
  })

  test('a FIFO is refused without waiting for a writer', () => {
    execFileSync('mkfifo', ['database.yml'])
    expect(errorOf(() => loadConfig()).message).toContain('is a FIFO, not a regular file')
  })

  test('a device', () => {
    expect(errorOf(() => loadConfig({ config: '/dev/zero' })).message).toContain('is a device')
  })

  test('unreadable', () => {
    writeFileSync('database.yml', MINIMAL)
    chmodSync('database.yml', 0)
    chmodSync('.', 0o755)
    const root = process.geteuid?.() === 0
    if (root) process.seteuid?.(65_534)
    try {
      expect(errorOf(() => loadConfig()).message).toContain('cannot be read: permission denied')
    } finally {
      if (root) process.seteuid?.(0)
    }
  })

  test('more than 256 KiB is refused before it is parsed', () => {
    const text = `${MINIMAL}#${'['.repeat(256 * 1024)}`
    expect(errorOf(() => loadText(text)).message).toContain('is larger than 256 KiB')
    const allowed = MINIMAL.padEnd(256 * 1024, '#')
    expect(loadText(`${MINIMAL}#${allowed.slice(MINIMAL.length + 1)}`).replicas).toHaveLength(1)
  })

  test('not UTF-8', () => {
    writeFileSync('database.yml', Buffer.from([0xff, 0xfe, 0x61, 0x00]))
    expect(errorOf(() => loadConfig()).message).toContain('is not UTF-8 text')
  })

  test('with a byte order mark', () => {
    expect(loadText(`\u{feff}${MINIMAL}`).replicas).toHaveLength(1)
  })

  test('a link to a file beside it, as mounted secrets have, but not out of its directory', () => {
    mkdirSync('mount/..data', { recursive: true })
    writeFileSync('mount/..data/database.yml', MINIMAL)
    symlinkSync('..data/database.yml', 'mount/database.yml')
    expect(loadConfig({ config: 'mount/database.yml' }).replicas).toHaveLength(1)
    writeFileSync('outside.yml', MINIMAL)
    symlinkSync('../outside.yml', 'mount/link.yml')
    expect(errorOf(() => loadConfig({ config: 'mount/link.yml' })).message).toContain(
      'leads out of its directory',
    )
  })

  test('a URL in place of a path is refused and not shown', () => {
    const url = 'postgres://app:canary@db/blog'
    const refuses = (load: () => unknown): void => {
      expect(issueOf(load).message).toContain('found a URL')
      expect(errorOf(load).message).not.toContain('canary')
    }
    refuses(() => loadConfig({ config: url }))
    writeFileSync('.env', `DB_CONFIG=${url}\n`)
    refuses(() => loadConfig())
    vi.stubEnv('DB_CONFIG', url)
    refuses(() => loadConfig())
  })

  test('DB_CONFIG, which config overrides', () => {
    writeFileSync('one.yml', MINIMAL)
    writeFileSync('two.yml', MINIMAL)
    vi.stubEnv('DB_CONFIG', 'one.yml')
    expect(loadConfig().file).toBe(join(process.cwd(), 'one.yml'))
    expect(loadConfig({ config: 'two.yml' }).file).toBe(join(process.cwd(), 'two.yml'))
  })

  test.each([{ env: 5 }, { config: 5 }, { config: null }, { config: [] }, { config: true }])(
    'options of a wrong type: %j',
    (options) => {
      expect(issueOf(() => loadConfig(options as never)).message).toMatch(/^found .*, expected /)
    },
  )
})

const named = (name: string): string => MINIMAL.replace('development', name)

describe('the environment', () => {
  const all = ['development', 'test', 'staging', 'production'].map(named).join('')

  test('env, else DB_ENV, else NODE_ENV, else development', () => {
    expect(loadText(all).environment).toBe('development')
    vi.stubEnv('NODE_ENV', 'test')
    expect(loadText(all).environment).toBe('test')
    vi.stubEnv('DB_ENV', 'staging')
    expect(loadText(all).environment).toBe('staging')
    expect(loadText(all, { env: 'production' }).environment).toBe('production')
  })

  test('DB_ENV of .env stands before NODE_ENV and after the process', () => {
    writeFileSync('.env', 'DB_ENV=staging\n')
    vi.stubEnv('NODE_ENV', 'test')
    expect(loadText(all).environment).toBe('staging')
    vi.stubEnv('DB_ENV', 'development')
    expect(loadText(all).environment).toBe('development')
  })

  test('NODE_ENV counts only when the file has it', () => {
    vi.stubEnv('NODE_ENV', 'test')
    expect(loadText(MINIMAL).environment).toBe('development')
  })

  test('NODE_ENV=production never becomes development', () => {
    vi.stubEnv('NODE_ENV', 'production')
    expect(issueOf(() => loadText(MINIMAL)).message).toContain('NODE_ENV is production')
    vi.stubEnv('DB_ENV', 'development')
    expect(loadText(MINIMAL).environment).toBe('development')
  })

  test('an unknown one: the message lists those there are, without templates', () => {
    const text = `default: &default\n  pool: 5\n${named('production')}${named('staging')}`
    const { message, file } = issueOf(() => loadText(text, { env: 'stagign' }))
    expect(message).toBe(
      "Master configuration in environment 'stagign' was not found in database.yml: there is no such environment. There are: production, staging. Did you mean 'staging'?",
    )
    expect(file).toBe('database.yml')
  })

  test.each(['__proto__', 'constructor', 'toString', ''])('no inherited name is one: %j', (env) => {
    expect(issueOf(() => loadText(MINIMAL, { env })).message).toContain(
      'there is no such environment',
    )
  })

  test('nodes without an environment', () => {
    const text = MINIMAL.replace('development:\n', '').replace(/^ {2}/gm, '')
    expect(issueOf(() => loadText(text)).message).toContain('Put ')
  })

  test.each(['- a', 'text', '5', 'development: 5', 'development:'])('no map: %j', (text) => {
    expect(issuesOf(() => loadText(text))).toHaveLength(1)
  })
})

describe('.env', () => {
  const text = MINIMAL.replace('host: localhost', 'host: localhost\n    database: ${NAME:-none}')

  test('beside the configuration file, else in the working directory', () => {
    mkdirSync('config')
    writeFileSync('config/database.yml', text)
    writeFileSync('.env', 'NAME=here\n')
    expect(loadConfig({ config: 'config/database.yml' }).primary.database).toBe('here')
    writeFileSync('config/.env', 'NAME=beside\n')
    expect(loadConfig({ config: 'config/database.yml' }).primary.database).toBe('beside')
  })

  test('may name the configuration file', () => {
    mkdirSync('config')
    writeFileSync('config/database.yml', text)
    writeFileSync('.env', 'DB_CONFIG=config/database.yml\nNAME=here\n')
    expect(loadConfig().primary.database).toBe('here')
  })

  test('never overrides the process', () => {
    writeFileSync('.env', 'NAME=file\n')
    vi.stubEnv('NAME', 'process')
    expect(loadText(text).primary.database).toBe('process')
  })

  test('is skipped when the process names an environment other than development or test', () => {
    const both = `${text}${text.replace('development', 'staging')}`
    writeFileSync('.env', 'NAME=file\n')
    expect(loadText(both, { env: 'staging' }).primary.database).toBe('none')
    expect(loadText(both, { env: 'development' }).primary.database).toBe('file')
    vi.stubEnv('NODE_ENV', 'staging')
    expect(loadText(both).primary.database).toBe('none')
    vi.stubEnv('DB_ENV', 'development')
    expect(loadText(both).primary.database).toBe('file')
  })

  test('gives libpq its variables too', () => {
    writeFileSync('.env', 'PGUSER=somebody\n')
    expect(loadText(MINIMAL).primary.username).toBe('somebody')
  })

  test('a directory of that name is some other program’s, a FIFO is a mistake', () => {
    mkdirSync('.env')
    expect(loadText(text).primary.database).toBe('none')
    mkdirSync('other')
    execFileSync('mkfifo', ['other/.env'])
    writeFileSync('other/database.yml', text)
    expect(issueOf(() => loadConfig({ config: 'other/database.yml' })).message).toContain('FIFO')
    expect(surroundings.directory).toBe(process.cwd())
  })
})
