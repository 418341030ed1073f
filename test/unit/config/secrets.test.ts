import { chmodSync, writeFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import type { ClusterConfigInput } from '../../../src/config/input.ts'
import { Secret } from '../../../src/config/secret.ts'
import { NODE_KEYS, RAILS_KEYS, SETTING_KEYS } from '../../../src/config/keys.ts'
import { toCamelCase } from '../../../src/config/names.ts'
import { MINIMAL, errorOf, loadMaster, loadText, useEmptySurroundings } from './helpers.ts'

useEmptySurroundings()

const CANARY = 'hunter2canary'
const PEM = `-----BEGIN PRIVATE KEY-----\n${CANARY}\n-----END PRIVATE KEY-----\n`
const PUBLIC = '-----BEGIN CERTIFICATE-----\nY2E=\n-----END CERTIFICATE-----\n'

/** Everything that a log could make of a value. */
const traces = (value: unknown): string => {
  const error = value instanceof Error ? [value.stack, value.message, inspect(value.cause)] : []
  return [
    inspect(value, { depth: Infinity, showHidden: true, getters: true }),
    inspect(value, { depth: Infinity, showHidden: true, customInspect: false }),
    JSON.stringify(value),
    String(value),
    ...error,
  ].join('\n')
}

describe('a configuration shows no secret', () => {
  test('the canary would be seen', () => {
    expect(traces({ a: [{ b: CANARY }] })).toContain(CANARY)
    expect(traces(new Error(CANARY))).toContain(CANARY)
  })

  test.each([
    [`password: ${CANARY}`],
    ['password: ${SECRET}'],
    [`url: postgres://app:${CANARY}@localhost/blog`],
    ['url: "postgres://app:${SECRET}@localhost/blog"'],
    ['password_file: secret'],
    [`ssl: { ca: public.pem, cert: public.pem, key: secret.pem }`],
    ['ssl: { cert: "${CERT}", key: "${PEM}" }'],
    ['sslmode: verify-full\n    sslcert: public.pem\n    sslkey: secret.pem'],
  ])('from a file: %s', async (line) => {
    vi.stubEnv('SECRET', CANARY)
    vi.stubEnv('PEM', PEM)
    vi.stubEnv('CERT', PUBLIC)
    writeFileSync('secret', CANARY)
    chmodSync('secret', 0o600)
    writeFileSync('secret.pem', PEM)
    writeFileSync('public.pem', PUBLIC)
    const config = loadMaster(line)
    expect(traces(config)).not.toContain(CANARY)
    // The secret is there all the same.
    const { password, ssl } = config.primary
    const secrets = [await password.reveal(), ssl ? await ssl.key?.reveal() : undefined]
    expect(secrets.join('')).toContain(CANARY)
    expect(traces(config)).not.toContain(CANARY)
  })

  test.each([
    [{ password: CANARY }],
    [{ password: () => CANARY }],
    [{ password: async () => CANARY }],
    [{ url: `postgres://app:${CANARY}@localhost/blog`, host: undefined }],
    [{ ssl: { cert: PUBLIC, key: PEM } }],
  ])('from an object: %#', async (keys) => {
    const master = { host: 'localhost', ...keys }
    const config = loadConfig({
      config: { master, r: 'postgres://localhost:1' } as ClusterConfigInput,
    })
    // The function's own text is the caller's code, but it is not in here either.
    expect(traces(config)).not.toContain(CANARY)
  })

  test('from PGPASSWORD, .pgpass and .env', async () => {
    vi.stubEnv('PGPASSWORD', CANARY)
    const first = loadText(MINIMAL)
    vi.stubEnv('PGPASSWORD', undefined)
    writeFileSync('.pgpass', `*:*:*:*:${CANARY}\n`)
    chmodSync('.pgpass', 0o600)
    const second = loadText(MINIMAL)
    writeFileSync('.env', `DB_PASSWORD=${CANARY}\n`)
    const third = loadMaster('password: ${DB_PASSWORD}')
    for (const config of [first, second, third]) {
      expect(await config.primary.password.reveal()).toBe(CANARY)
      expect(traces(config)).not.toContain(CANARY)
    }
  })

  test('a secret as key, in a template, in JSON and in a text', () => {
    const secret = new Secret(CANARY)
    expect([String(secret), JSON.stringify({ secret }), inspect(secret)]).toEqual([
      '[redacted]',
      '{"secret":"[redacted]"}',
      '[redacted]',
    ])
  })
})

describe('an error shows no secret', () => {
  test.each([
    [`password: { a: ${CANARY} }`],
    [`password: [${CANARY}]`],
    [`password: ${CANARY}\n    password_file: ${CANARY}`],
    [`password: ${CANARY}\${`],
    [`password: "${CANARY}\${UNSET_VARIABLE}"`],
    [`password: "${CANARY}`],
    [`password: ${CANARY}: x`],
    [`password: { ${CANARY}`],
    [`password: "\\q${CANARY}"`],
    [`password: !${CANARY} x`],
    [`password: ${CANARY}\n    password: ${CANARY}`],
    [`url: ${CANARY}`],
    [`url: postgres://app:${CANARY}@localhost/blog?x=1`],
    [`url: postgres://app:${CANARY}@localhost:bad/blog`],
    [`url: postgres://app:${CANARY}/x@localhost/blog`],
    [`url: postgres://app:pw@localhost/blog?sslmode=${CANARY}`],
    [`url: postgres://app:${CANARY}@localhost/blog\n    password: other`],
    [`password_file: [${CANARY}]`],
    [`ssl: ${CANARY}`],
    [`ssl: { ca: ${CANARY} }`],
    [`ssl: { key: "${CANARY}", cert: "${CANARY}" }`],
    [`ssl: { mode: ${CANARY} }`],
    [`sslkey: [${CANARY}]`],
    [`sslmode: ${CANARY}`],
    [`variables: { "a b": ${CANARY} }`],
    [`variables: ${CANARY}`],
    [`variables: { search_path: [${CANARY}] }`],
    [`pasword: ${CANARY}`],
    ['port: ${SECRET}'],
    ['database: "${SECRET}\\n"'],
    ['tags: "${SECRET"'],
    [`host: postgres://app:${CANARY}@localhost`],
    ['adapter: ${SECRET}'],
    ['ssl: ${SECRET}'],
  ])('%s', (line) => {
    vi.stubEnv('SECRET', CANARY)
    const load = () =>
      loadText(
        `development:\n  master:\n    ${line}\n  replica1: { host: localhost, port: 5433 }\n`,
      )
    expect(traces(errorOf(load))).not.toContain(CANARY)
  })

  test('a node that is a text', () => {
    const load = () => loadConfig({ config: { master: CANARY, replica1: `x://${CANARY}` } })
    expect(traces(errorOf(load))).not.toContain(CANARY)
  })

  test('a password file with mistakes', async () => {
    writeFileSync('secret', CANARY)
    chmodSync('secret', 0o644)
    const error: unknown = await loadMaster('password_file: secret')
      .primary.password.reveal()
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(Error)
    expect(traces(error)).not.toContain(CANARY)
  })

  /** What a mistake could make of the canary: as it is, from a variable, in a list, a map, a URL. */
  const forms = [
    CANARY,
    '${SECRET}',
    '"before ${SECRET}"',
    `[${CANARY}]`,
    '["${SECRET}"]',
    `{ a: ${CANARY} }`,
    `postgres://app:${CANARY}@db/blog`,
    `"postgres://app:${CANARY}@db:x/blog"`,
  ]
  const objects = [
    CANARY,
    [CANARY],
    { a: CANARY },
    () => CANARY,
    `postgres://app:${CANARY}@db/blog`,
    `postgres://app:${CANARY}@db:x/blog`,
  ]
  /** The mistake that a configuration makes; nothing when it loads. */
  const shown = (load: () => unknown): string => {
    try {
      load()
      return ''
    } catch (error) {
      return traces(error)
    }
  }

  test.each(Object.keys({ ...NODE_KEYS, ...RAILS_KEYS }))('in every field of a node: %s', (key) => {
    vi.stubEnv('SECRET', CANARY)
    const host = ['host', 'url', 'socket'].includes(key) ? '' : '    host: localhost\n'
    for (const form of forms) {
      const text = `development:\n  master:\n${host}    ${key}: ${form}\n  r: { host: localhost, port: 1 }\n`
      expect(
        shown(() => loadText(text)),
        form,
      ).not.toContain(CANARY)
    }
    for (const value of objects) {
      const master = { host: 'localhost', [toCamelCase(key)]: value }
      const config = { master, r: 'postgres://localhost:1' } as unknown as ClusterConfigInput
      expect(shown(() => loadConfig({ config }))).not.toContain(CANARY)
    }
  })

  test.each(['master', 'replica1', 'settings', ...Object.keys(SETTING_KEYS)])(
    'in every other field: %s',
    (key) => {
      vi.stubEnv('SECRET', CANARY)
      const isSetting = Object.hasOwn(SETTING_KEYS, key)
      for (const form of forms.filter((form) => !form.startsWith('{'))) {
        const others = ['master', 'replica1'].filter((name) => name !== key)
        const nodes = others.map(
          (name, port) => `  ${name}: { host: localhost, port: ${port + 1} }\n`,
        )
        const field = isSetting ? `  settings:\n    ${key}: ${form}\n` : `  ${key}: ${form}\n`
        expect(
          shown(() => loadText(`development:\n${nodes.join('')}${field}`)),
          form,
        ).not.toContain(CANARY)
      }
      for (const value of [CANARY, [CANARY], `postgres://app:${CANARY}@db:x/blog`]) {
        const field = isSetting ? { settings: { [toCamelCase(key)]: value } } : { [key]: value }
        const config = {
          master: { host: 'localhost' },
          replica1: 'postgres://localhost:1',
          ...field,
        } as unknown as ClusterConfigInput
        expect(shown(() => loadConfig({ config }))).not.toContain(CANARY)
      }
    },
  )
})
