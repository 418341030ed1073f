import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

/** Folder or top-level file -> layer. A file imports its own folder and lower layers only. */
const LAYERS: Record<string, number> = {
  'errors.ts': 0,
  config: 1, sql: 1,
  nodes: 2,
  routing: 3,
  cluster: 4,
  knex: 5,
  models: 6, adapters: 6, web: 6, testing: 6,
  cqrs: 7, kafka: 7,
  'index.ts': 8, cli: 8,
} // prettier-ignore

const src = resolve(import.meta.dirname, '../../src')
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)
const importsOf = (file: string): string[] =>
  [...readFileSync(join(src, file), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(
    ([, path]) => relative(src, resolve(src, dirname(file), path!)),
  )
const roomOf = (file: string): string => file.split('/')[0]!

test('every file belongs to a layer, and inner folders have no index.ts', () => {
  expect(files.length).toBeGreaterThan(20)
  expect(files.filter((file) => LAYERS[roomOf(file)] === undefined)).toEqual([])
  expect(files.filter((file) => file.endsWith('/index.ts'))).toEqual([])
})

test('imports go down only, types included', () => {
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .filter((target) => roomOf(target) !== roomOf(file))
      .filter((target) => !(LAYERS[roomOf(target)]! < LAYERS[roomOf(file)]!))
      .map((target) => `${file} -> ${target}`),
  )
  expect(wrong).toEqual([])
})
