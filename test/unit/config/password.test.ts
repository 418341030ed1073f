import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { lookUpPassfile } from '../../../src/config/passfile.ts'
import { ConfigError } from '../../../src/errors.ts'
import { issueOf, loadMaster, loadMasterObject, useEmptySurroundings } from './helpers.ts'

useEmptySurroundings()

const write = (path: string, text: string, mode = 0o600): void => {
  writeFileSync(path, text)
  chmodSync(path, mode)
}

describe('password_file', () => {
  const reveal = () => loadMaster('password_file: pw').primary.password.reveal()

  test('one newline is trimmed, nothing else', async () => {
    for (const [text, password] of [
      ['pw', 'pw'],
      ['pw\n', 'pw'],
      ['pw\r\n', 'pw'],
      [' p w \n', ' p w '],
      ['pw\n\n', 'pw\n'],
    ] as const) {
      write('pw', text)
      expect(await reveal()).toBe(password)
    }
  })

  test('is read again at each new connection', async () => {
    const { password } = loadMaster('password_file: pw').primary
    write('pw', 'one')
    expect(await password.reveal()).toBe('one')
    write('pw', 'two')
    expect(await password.reveal()).toBe('two')
  })

  test('is refused when it is not safe or not usable', async () => {
    const refusal = async (): Promise<string> => {
      const error: unknown = await reveal().catch((error: unknown) => error)
      expect(error).toBeInstanceOf(ConfigError)
      return (error as ConfigError).message
    }
    expect(await refusal()).toBe('master: the password file was not found')
    for (const mode of [0o640, 0o604, 0o666, 0o610]) {
      write('pw', 'canary', mode)
      expect(await refusal()).toContain('can be read by others than its owner')
    }
    write('pw', '')
    expect(await refusal()).toContain('is empty')
    write('pw', 'x'.repeat(4097))
    expect(await refusal()).toContain('is larger than 4 KiB')
    if (process.geteuid?.() === 0) {
      write('pw', 'canary')
      chownSync('pw', 65_534, 65_534)
      expect(await refusal()).toContain('belongs to another user')
    }
    execFileSync('rm', ['pw'])
    execFileSync('mkfifo', ['-m', '600', 'pw'])
    expect(await refusal()).toContain('is a FIFO')
    execFileSync('rm', ['pw'])
    mkdirSync('pw', { mode: 0o700 })
    expect(await refusal()).toContain('is a directory')
  })

  test('beside a password it is a mistake', () => {
    const load = () => loadMaster('password: canary', 'password_file: canary')
    expect(issueOf(load).message).toBe(
      'found a password and a password file; leave one of them out',
    )
  })
})

describe('what is missing is taken from libpq’s variables', () => {
  test('PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD, PGAPPNAME', async () => {
    vi.stubEnv('PGHOST', '/run/pg')
    vi.stubEnv('PGPORT', '6000')
    vi.stubEnv('PGUSER', 'app')
    vi.stubEnv('PGPASSWORD', 'pw')
    vi.stubEnv('PGAPPNAME', 'web')
    const { primary } = loadMasterObject({ host: undefined })
    expect(primary).toMatchObject({
      host: '/run/pg',
      port: 6000,
      username: 'app',
      database: 'app',
      applicationName: 'web',
    })
    expect(await primary.password.reveal()).toBe('pw')
    vi.stubEnv('PGDATABASE', 'blog')
    expect(loadMasterObject({}).primary.database).toBe('blog')
    expect(loadMasterObject({ database: 'x', password: 'y' }).primary.database).toBe('x')
  })

  test('and they are checked', () => {
    vi.stubEnv('PGPORT', 'canary')
    expect(issueOf(() => loadMasterObject({})).message).toBe(
      'PGPORT: expected a whole number from 1 to 65535',
    )
    vi.stubEnv('PGPORT', '')
    vi.stubEnv('PGHOST', 'one,two')
    expect(issueOf(() => loadMasterObject({ host: undefined })).message).toContain(
      'PGHOST: found several',
    )
  })
})

describe('.pgpass', () => {
  const target = { host: 'db', port: 5432, database: 'blog', username: 'app' }
  const lookUp = (text: string, overrides: Partial<typeof target> = {}): string | undefined => {
    write('pass', text)
    return lookUpPassfile('pass', { ...target, ...overrides })
  }

  test.each([
    ['db:5432:blog:app:pw', 'pw'],
    ['db:5432:blog:app:pw\r\n', 'pw'],
    ['*:*:*:*:pw', 'pw'],
    ['# db:5432:blog:app:no\n\ndb:5432:blog:app:pw', 'pw'],
    ['db:5432:blog:other:no\ndb:*:*:app:first\ndb:5432:blog:app:second', 'first'],
    ['db:5432:blog:app:p\\:w\\\\', 'p:w\\'],
    ['db:5432:blog:app:p:w', 'p'],
    ['db:5432:blog:app:', ''],
    ['db:5432:blog:app', undefined],
    ['db:5433:blog:app:pw', undefined],
    ['DB:5432:blog:app:pw', undefined],
    ['\\*:5432:blog:app:pw', undefined],
    ['', undefined],
  ])('%j', (text, password) => {
    expect(lookUp(text)).toBe(password)
  })

  test('escaped names', () => {
    expect(lookUp('\\:\\:1:5432:a\\\\b:app:pw', { host: '::1', database: 'a\\b' })).toBe('pw')
  })

  test('a socket in the usual directory is called localhost', () => {
    expect(lookUp('localhost:5432:blog:app:pw', { host: '/var/run/postgresql' })).toBe('pw')
    expect(lookUp('localhost:5432:blog:app:pw', { host: '/elsewhere' })).toBeUndefined()
    expect(lookUp('/elsewhere:5432:blog:app:pw', { host: '/elsewhere' })).toBe('pw')
  })

  test('is looked up when a connection is made, by PGPASSFILE or in the home directory', async () => {
    const { password } = loadMaster('username: app', 'database: blog').primary
    expect(await password.reveal()).toBeUndefined()
    write('.pgpass', 'localhost:5432:blog:app:home\n')
    expect(await password.reveal()).toBe('home')
    write('other', 'localhost:5432:blog:app:other\n')
    vi.stubEnv('PGPASSFILE', 'other')
    const { primary } = loadMaster('username: app', 'database: blog')
    expect(await primary.password.reveal()).toBe('other')
  })

  test('that others can read is ignored, with a notice', async () => {
    write('.pgpass', 'localhost:5432:blog:app:canary\n', 0o644)
    const { primary, notices } = loadMaster('username: app', 'database: blog')
    expect(await primary.password.reveal()).toBeUndefined()
    expect(notices).toEqual([expect.stringContaining('chmod 600')])
  })
})
