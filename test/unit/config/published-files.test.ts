import { copyFileSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse as parseDotenv } from 'dotenv'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import { databaseJsonSchema } from '../../../src/config/json-schema.ts'
import { NODE_KEYS, RAILS_KEYS, SETTING_KEYS } from '../../../src/config/keys.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { toCamelCase, toSnakeCase } from '../../../src/config/names.ts'
import type { CamelCase } from '../../../src/config/names.ts'
import type { NodeInput, SettingsInput } from '../../../src/config/input.ts'
import { useEmptySurroundings } from './helpers.ts'

const root = resolve(import.meta.dirname, '../../..')
const published = (name: string): string => readFileSync(join(root, name), 'utf8')

useEmptySurroundings()

describe('the one definition', () => {
  test('the types of objects have the same keys', () => {
    expectTypeOf<keyof NodeInput>().toEqualTypeOf<CamelCase<keyof typeof NODE_KEYS>>()
    expectTypeOf<keyof SettingsInput>().toEqualTypeOf<CamelCase<keyof typeof SETTING_KEYS>>()
  })

  test('the two spellings map onto each other', () => {
    for (const name of [...Object.keys(NODE_KEYS), ...Object.keys(SETTING_KEYS)]) {
      expect(toSnakeCase(toCamelCase(name))).toBe(name)
    }
  })
})

describe('database.schema.json', () => {
  test('is what the definition gives (vitest -u writes it)', async () => {
    const text = `${JSON.stringify(databaseJsonSchema(), null, 2)}\n`
    await expect(text).toMatchFileSnapshot(join(root, 'database.schema.json'))
  })

  test('knows every key, with a description', () => {
    const { definitions } = JSON.parse(published('database.schema.json')) as {
      definitions: Record<
        'keys' | 'settings',
        { properties: Record<string, { description: string }> }
      >
    }
    const keys = Object.entries({ ...NODE_KEYS, ...RAILS_KEYS })
    for (const [name, { description }] of keys) {
      expect(definitions.keys.properties[name]?.description).toBe(description)
    }
    expect(Object.keys(definitions.settings.properties)).toEqual(Object.keys(SETTING_KEYS))
  })
})

describe('database.example.yml', () => {
  const load = (env: string) => {
    copyFileSync(join(root, 'database.example.yml'), 'database.yml')
    return loadConfig({ env })
  }

  test('loads with the variables that .env.example names', async () => {
    copyFileSync(join(root, '.env.example'), '.env')
    copyFileSync(join(root, 'database.example.yml'), 'database.yml')
    const config = loadConfig()
    expect(config.environment).toBe('development')
    expect(config.notices).toEqual([])
    expect([config.primary, ...config.replicas].map(({ port }) => port)).toEqual([5432, 5433, 5434])
    expect(await config.primary.password.reveal()).toBe('change-me')
    expect(load('test').replicas).toEqual([])
  })

  test('every environment of it loads', () => {
    vi.stubEnv('DB_PASSWORD', 'x')
    expect(load('test').primary.database).toBe('blog_test')
    expect(load('production').replicas.map(({ name }) => name)).toEqual([
      'replica1',
      'replica2',
      'replica3',
    ])
  })

  test('has every option', () => {
    const lines = published('database.example.yml')
    const missing = [...Object.keys(NODE_KEYS), ...Object.keys(SETTING_KEYS)].filter(
      (name) => !new RegExp(`^ *${name}:`, 'm').test(lines),
    )
    expect(missing).toEqual([])
  })

  test('.env.example sets what is read', () => {
    expect(Object.keys(parseDotenv(published('.env.example')))).toEqual([
      'DB_ENV',
      'DB_CONFIG',
      'DB_PASSWORD',
    ])
  })
})
