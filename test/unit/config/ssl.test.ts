import { mkdirSync, writeFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { errorOf, issueOf, loadText, useEmptySurroundings } from './helpers.ts'

useEmptySurroundings()

const CA = '-----BEGIN CERTIFICATE-----\nY2E=\n-----END CERTIFICATE-----\n'
const CERT = '-----BEGIN CERTIFICATE-----\nY2VydA==\n-----END CERTIFICATE-----\n'
const KEY = '-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n'

const sslOf = (host: string, ...lines: readonly string[]) =>
  loadText(
    ['development:', '  master:', `    host: ${host}`, ...lines.map((line) => `    ${line}`)]
      .concat('  replica1: { host: localhost, port: 5433, ssl: false }', '')
      .join('\n'),
  ).primary.ssl

const FULL = { rejectUnauthorized: true, verifyHost: true }

describe('ssl', () => {
  test.each([
    ['true', FULL],
    ['verify-full', FULL],
    ['verify-ca', { rejectUnauthorized: true, verifyHost: false }],
    ['require', { rejectUnauthorized: false, verifyHost: false }],
    ['false', false],
    ['disable', false],
  ])('%s', (value, expected) => {
    expect(sslOf('db', `ssl: ${value}`)).toEqual(expected)
    expect(
      sslOf(
        'db',
        `sslmode: ${value === 'true' ? 'verify-full' : value === 'false' ? 'disable' : value}`,
      ),
    ).toEqual(expected)
  })

  test.each(['localhost', '127.0.0.1', '127.1.2.3', '"::1"', '/run/pg'])(
    'absent, it is off for %s',
    (host) => {
      expect(sslOf(host)).toBe(false)
    },
  )

  test.each(['db.internal', '10.0.0.1', 'localhost.example.com', '"fe80::1"', '127.example.com'])(
    'absent, a choice is asked for with %s',
    (host) => {
      expect(issueOf(() => sslOf(host))).toMatchObject({
        message: expect.stringContaining('expected a choice for ssl'),
        path: 'development.master',
      })
    },
  )

  test('absent, PGSSLMODE decides', () => {
    vi.stubEnv('PGSSLMODE', 'verify-ca')
    expect(sslOf('db')).toEqual({ rejectUnauthorized: true, verifyHost: false })
    expect(sslOf('localhost')).toEqual({ rejectUnauthorized: true, verifyHost: false })
    expect(sslOf('/run/pg')).toBe(false)
    expect(sslOf('db', 'ssl: true')).toEqual(FULL)
    vi.stubEnv('PGSSLMODE', 'prefer')
    expect(issueOf(() => sslOf('db')).message).toContain("PGSSLMODE: 'prefer' is refused")
    vi.stubEnv('PGSSLMODE', 'nonsense')
    expect(issueOf(() => sslOf('db')).message).toContain('PGSSLMODE: expected disable')
  })

  test.each([
    ['ssl: prefer', "'prefer' is refused"],
    ['ssl: 5', 'found a number, expected true, false, require'],
    ['ssl: canary', 'found text, expected true, false, require'],
    ['ssl: [true]', 'found a list, expected true, false'],
    ['ssl: {}', 'found an empty map'],
    ['ssl: { cax: canary }', "unknown key; did you mean 'ca'?"],
    ['ssl: { ca: 5 }', 'found a number, expected the path of a PEM file'],
    ['ssl: { mode: prefer }', "'prefer' is refused"],
    ['ssl: { ca: canary.pem }', "the file of 'ca' was not found"],
    ['ssl: { ca: . }', "the file of 'ca' is a directory"],
    ['ssl: { ca: text.pem }', "'ca' is not PEM text"],
    ['ssl: { cert: cert.pem }', 'cert and key belong together'],
    ['ssl: { cert: cert.pem, key: encrypted.pem }', "'key' is encrypted"],
    ['sslmode: sometimes', 'found an unknown sslmode'],
  ])('%s is a mistake, and nothing of it is shown', (line, message) => {
    writeFileSync('text.pem', 'canary')
    writeFileSync('cert.pem', CERT)
    writeFileSync('encrypted.pem', KEY.replace('PRIVATE', 'ENCRYPTED PRIVATE'))
    expect(issueOf(() => sslOf('db', line)).message).toContain(message)
    expect(errorOf(() => sslOf('db', line)).message).not.toContain('canary')
  })

  test('a TLS socket is a mistake', () => {
    expect(issueOf(() => sslOf('/run/pg', 'ssl: true')).message).toContain('over a Unix socket')
  })

  test('certificates by path, beside the configuration file', async () => {
    mkdirSync('config')
    writeFileSync('config/ca.pem', CA)
    writeFileSync('config/cert.pem', CERT)
    writeFileSync('config/key.pem', KEY)
    const node = 'host: db, ssl: { ca: ca.pem, cert: cert.pem, key: key.pem }'
    writeFileSync(
      'config/database.yml',
      `development:\n  master: { ${node} }\n  replica1: { ${node}, port: 1 }\n`,
    )
    const { ssl } = loadConfig({ config: 'config/database.yml' }).primary
    expect(ssl).toMatchObject({ ...FULL, ca: CA, cert: CERT })
    expect(ssl && (await ssl.key?.reveal())).toBe(KEY)
    expect(ssl && ssl.key?.text()).toBe(KEY)
    expect(Object.isFrozen(ssl)).toBe(true)
  })

  test('certificates as text, from a variable, and with a mode', () => {
    vi.stubEnv('CA', CA)
    expect(sslOf('db', 'ssl: { ca: "${CA}", mode: verify-ca }')).toEqual({
      rejectUnauthorized: true,
      verifyHost: false,
      ca: CA,
    })
  })

  test('as in libpq, require with an authority checks the chain; system is the system’s own', () => {
    writeFileSync('ca.pem', CA)
    expect(sslOf('db', 'sslmode: require', 'sslrootcert: ca.pem')).toEqual({
      rejectUnauthorized: true,
      verifyHost: false,
      ca: CA,
    })
    expect(sslOf('db', 'sslrootcert: system')).toEqual(FULL)
    vi.stubEnv('PGSSLROOTCERT', 'ca.pem')
    expect(sslOf('db', 'ssl: true')).toEqual({ ...FULL, ca: CA })
  })
})
