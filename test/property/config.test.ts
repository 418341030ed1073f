import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { NODE_KEYS, RAILS_KEYS, SETTING_KEYS } from '../../src/config/keys.ts'
import { loadConfig } from '../../src/config/load.ts'
import { toCamelCase } from '../../src/config/names.ts'
import type { LoadOptions } from '../../src/config/input.ts'
import { lookUpPassfile } from '../../src/config/passfile.ts'
import { parseUrl } from '../../src/config/url.ts'
import { expandVariables } from '../../src/config/variables.ts'
import { ConfigError } from '../../src/errors.ts'

const directory = mkdtempSync(join(tmpdir(), 'segregato-property-'))
const file = join(directory, 'database.yml')
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Fails for any error but ConfigError, and when an object of JavaScript has changed. */
const loadsOrRefuses = (options: LoadOptions): void => {
  const before = Object.getOwnPropertyNames(Object.prototype).join()
  try {
    const config = loadConfig(options)
    expect(Object.isFrozen(config)).toBe(true)
    expect(config.primary.role).toBe('primary')
    expect(config.settings.allowSameServer || config.replicas.length > 0).toBe(true)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    expect(error.issues.length).toBeGreaterThan(0)
    expect(error.issues.every(({ message }) => message.length > 0)).toBe(true)
  }
  expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(before)
}

const loadText = (text: string): void => {
  writeFileSync(file, text)
  loadsOrRefuses({ config: file, env: 'development' })
}

const names = [...Object.keys(NODE_KEYS), ...Object.keys(RAILS_KEYS), ...Object.keys(SETTING_KEYS)]
const key = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...names) },
  { weight: 3, arbitrary: fc.constantFrom(...names.map(toCamelCase)) },
  { weight: 2, arbitrary: fc.constantFrom('master', 'primary', 'settings', 'replica1', '<<') },
  { weight: 1, arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', 'then') },
  { weight: 1, arbitrary: fc.string({ maxLength: 12 }) },
)
const text = fc.oneof(
  fc.constantFrom('localhost', 'db', 'require', 'postgres://a:b@localhost/x?sslmode=require'),
  fc.constantFrom('${HOME}', '${UNSET:-5}', "<%= ENV['UNSET'] %>", '/run', '.', 'true', '5'),
  fc.string({ maxLength: 20, unit: 'binary' }),
)
const value = fc.oneof(
  text,
  fc.integer({ min: -10, max: 70_000 }),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.array(text, { maxLength: 3 }),
  fc.dictionary(key, text, { maxKeys: 3, noNullPrototype: true }),
)
const node = fc.oneof(text, fc.dictionary(key, value, { maxKeys: 6, noNullPrototype: true }))
const environment = fc.record(
  {
    master: node,
    replica1: node,
    replica2: node,
    settings: fc.dictionary(key, value, { maxKeys: 4, noNullPrototype: true }),
  },
  { requiredKeys: [] },
)

describe('whatever is given, it loads or is refused with a ConfigError', () => {
  test('as an object of any kind', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
      key,
    })
    fc.assert(fc.property(anything, (config) => loadsOrRefuses({ config } as LoadOptions)))
    fc.assert(
      fc.property(fc.dictionary(key, anything), (config) =>
        loadsOrRefuses({ config } as LoadOptions),
      ),
    )
  })

  test('as an object of nearly the right shape', () => {
    fc.assert(
      fc.property(environment, (config) => loadsOrRefuses({ config })),
      { numRuns: 500 },
    )
  })

  test('as a file of nearly the right shape', () => {
    fc.assert(
      fc.property(environment, (development) => loadText(JSON.stringify({ development }))),
      { numRuns: 300 },
    )
  })

  test('as a file of any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), loadText))
    const pieces = fc.constantFrom(
      'development:',
      'master:',
      'host: a',
      '\n',
      '  ',
      '    ',
      '- ',
      '? ',
      ': ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '"',
      "'",
      '#',
      '&a ',
      '*a',
      '<<: ',
      '!!str ',
      '---\n',
      '|\n',
      '>\n',
      '${A}',
      '\t',
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => loadText(parts.join(''))),
      { numRuns: 300 },
    )
  })

  test('as a file of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        writeFileSync(file, bytes)
        loadsOrRefuses({ config: file })
      }),
    )
  })
})

describe('laws', () => {
  test('what a variable holds arrives unchanged, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (secret, before) => {
        fc.pre(!/\$\{|<%|[$<]$/.test(before))
        const expanded = expandVariables(`${before}\${NAME}`, { NAME: secret })
        expect(expanded).toEqual({ text: before + secret, names: ['NAME'] })
      }),
    )
  })

  test('a URL gives back what was encoded in it', () => {
    const part = fc.string({ minLength: 1, unit: 'grapheme' })
    fc.assert(
      fc.property(part, part, part, (username, password, database) => {
        const [user, secret, name] = [username, password, database].map(encodeURIComponent)
        expect(parseUrl(`postgres://${user}:${secret}@localhost/${name}`)).toEqual({
          parts: { host: 'localhost', username, password, database },
          ignored: [],
        })
      }),
    )
  })

  test('any text as a URL is taken apart or refused', () => {
    fc.assert(
      fc.property(fc.string(), (rest) => {
        expect(Object.keys(parseUrl(`postgres://${rest}`))).toSatisfy(
          (keys: string[]) => keys.includes('parts') || keys.includes('problem'),
        )
      }),
    )
  })

  test('a password in .pgpass is found by the names it was written for', () => {
    const name = fc
      .string({ minLength: 1, unit: 'grapheme' })
      .filter((text) => !/[\r\n#]/.test(text))
    const escape = (text: string): string => text.replace(/[\\:]/g, '\\$&').replace(/^\*$/, '\\*')
    const path = join(directory, 'pass')
    fc.assert(
      fc.property(name, name, name, name, (host, database, username, password) => {
        fc.pre(!host.startsWith('/'))
        const line = [host, '5432', database, username, password].map(escape).join(':')
        writeFileSync(path, `${line}\n`, { mode: 0o600 })
        const target = { host, port: 5432, database, username }
        expect(lookUpPassfile(path, target)).toBe(password)
        expect(lookUpPassfile(path, { ...target, port: 5433 })).toBeUndefined()
      }),
    )
  })
})
