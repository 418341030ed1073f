import { describe, expect, test } from 'vitest'
import {
  errorOf,
  issueOf,
  loadMaster,
  loadMasterObject,
  loadText,
  useEmptySurroundings,
} from './helpers.ts'

useEmptySurroundings()

const loadUrl = (url: string, ...lines: readonly string[]) =>
  loadText(
    ['development:', '  master:', `    url: '${url}'`, ...lines.map((line) => `    ${line}`)]
      .concat('  replica1: { host: localhost, port: 5433 }', '')
      .join('\n'),
  )

describe('a URL', () => {
  test.each([
    ['postgres://app:pw@localhost:5999/blog', { port: 5999, database: 'blog', username: 'app' }],
    ['postgresql://localhost', { host: 'localhost', port: 5432 }],
    ['postgres://app@localhost', { username: 'app', database: 'app' }],
    ['postgres:///blog?host=/run/pg', { host: '/run/pg', database: 'blog', ssl: false }],
    ['postgres://app@%2Frun%2Fpg/blog', { host: '/run/pg', database: 'blog' }],
    ['postgres://[::1]:6000/blog', { host: '::1', port: 6000 }],
    ['postgres://a%40b@localhost/my%20db', { username: 'a@b', database: 'my db' }],
    ['postgres://localhost/blog?application_name=web%20one', { applicationName: 'web one' }],
    ['postgres://localhost/blog?connect_timeout=3', { connectTimeoutMs: 3_000 }],
    ['postgres://localhost/blog?pgbouncer=true', { pgbouncer: true, preparedStatements: false }],
    ['postgres://localhost/blog?user=app&dbname=', { username: 'app', database: 'blog' }],
    ['postgres://db/b?sslmode=require', { ssl: { rejectUnauthorized: false, verifyHost: false } }],
    ['postgres://db/b?sslmode=verify-ca', { ssl: { rejectUnauthorized: true, verifyHost: false } }],
    [
      'postgres://db/b?sslmode=verify-full',
      { ssl: { rejectUnauthorized: true, verifyHost: true } },
    ],
    ['postgres://db/b?ssl=true', { ssl: { rejectUnauthorized: true, verifyHost: true } }],
    ['postgres://db/b?sslmode=disable', { host: 'db', ssl: false }],
  ])('%s', (url, expected) => {
    expect(loadUrl(url).primary).toMatchObject(expected)
  })

  test('its password', async () => {
    const password = (url: string) => loadUrl(url).primary.password.reveal()
    expect(await password('postgres://app:p%40s%3As@localhost/blog')).toBe('p@s:s')
    expect(await password('postgres://app:p@ss:w@localhost/blog')).toBe('p@ss:w')
    expect(await password('postgres://localhost/blog?password=x%2Fy')).toBe('x/y')
  })

  test('is filled by the keys, and may say the same as they do', () => {
    const { primary } = loadUrl('postgres://localhost:6000/blog', 'username: app', 'port: 6000')
    expect(primary).toMatchObject({ username: 'app', port: 6000, database: 'blog' })
  })

  test.each([
    ['postgres://localhost:6000/blog', 'port: 6001', "'port' and the URL say different things"],
    ['postgres://db/blog?sslmode=disable', 'host: db2', "'host' and the URL say different"],
    ['postgres://a:canary@localhost/blog', 'password: canary2', "'password' and the URL say"],
    [
      'postgres://db/b?sslmode=require',
      'ssl: true',
      'ssl says verify-full and sslmode says require',
    ],
    [
      'postgres://db/b?sslmode=disable',
      'ssl: true',
      'ssl says verify-full and sslmode says disable',
    ],
    [
      'postgres://db/b?sslmode=verify-full',
      'ssl: false',
      'ssl says disable and sslmode says verify',
    ],
    ['postgres://db/b?sslmode=require', 'sslmode: verify-ca', "'sslmode' and the URL say"],
    ['postgres://db/b?sslmode=prefer', '', "'prefer' is refused: it falls back"],
    ['postgres://db/b?sslmode=allow', '', "'allow' is refused: it falls back"],
    ['postgres://db/b?sslmode=no-verify', '', "is called 'require' here"],
    ['postgres://db/b?sslmode=canary', '', 'found an unknown sslmode'],
    ['mysql://localhost/blog', '', 'found no usable URL'],
    ['localhost:5432/blog', '', 'found no usable URL'],
    ['postgres://one,two/blog', '', 'several hosts'],
    ['postgres://localhost:70000/blog', '', "a whole number from 1 to 65535 as 'port' in the URL"],
    ['postgres://app:ca#nary@localhost/blog', '', 'must be percent-encoded'],
    ['postgres://app:ca/nary@localhost/blog', '', 'must be percent-encoded'],
    ['postgres://app:12/canary@localhost/blog', '', 'must be percent-encoded'],
    ['postgres://app:12?canary@localhost/blog', '', 'must be percent-encoded'],
    ['postgres://app:ca%nary@localhost/blog', '', 'must be percent-encoded'],
    ['postgres://localhost/blog?nonsense=canary', '', "the parameter 'nonsense' in the URL"],
    ['postgres://localhost/blog?port=1&port=2', '', "'port' twice"],
    ['postgres://localhost/blog?connect_timeout=soon', '', "as 'connect_timeout' in the URL"],
    ['postgres://localhost/a%00b', '', "text that is not empty as 'database' in the URL"],
  ])('%s with %j is a mistake', (url, line, message) => {
    const error = errorOf(() => loadUrl(url, line))
    expect(issueOf(() => loadUrl(url, line)).message).toContain(message)
    expect(error.message).not.toMatch(/canary|nary@/)
  })

  test('parameters that change nothing are ignored with a notice', () => {
    const { notices } = loadUrl('postgres://db/b?sslmode=require&channel_binding=require')
    expect(notices).toEqual(['Ignored, as these keys mean nothing here: channel_binding'])
  })

  test('in place of a node, in files too', () => {
    const text = 'development:\n  master: postgres://localhost/a\n  r: postgres://localhost:1/a\n'
    expect(loadText(text)).toMatchObject({ primary: { database: 'a' }, replicas: [{ port: 1 }] })
  })

  test('where a host belongs it is not shown', () => {
    const load = () => loadMasterObject({ host: 'postgres://app:canary@db/blog' })
    expect(errorOf(load).message).toContain('a URL goes under the key url')
    expect(errorOf(load).message).not.toContain('canary')
    const port = () => loadMaster('port: postgres://app:canary@db/blog')
    expect(errorOf(port).message).not.toContain('canary')
  })
})
