import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { beforeAll, expect, inject, test } from 'vitest'
import { ROOT, scratch, type Scratch } from './scratch.ts'

const tarball = inject('tarball')
let project: Scratch
let files: string[]
const inPackage = (file: string): string => project.path(join('node_modules/segregato', file))

beforeAll(async () => {
  project = await scratch([tarball])
  files = readdirSync(inPackage('.'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    statSync(inPackage(file)).isFile(),
  )
})

const targetsOf = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : Object.values(value as object).flatMap(targetsOf)

test('the package has what it needs and nothing else', () => {
  const top =
    /^(?:CHANGELOG\.md|LICENSE|README\.md|database\.example\.yml|database\.schema\.json|package\.json)$/
  // docs: what `check` and the README point to; docker: what `init` writes its compose file from.
  const pages = /^docs\/[\w-]+\.md$|^docker\/(?:compose\.yml|server\.sh)$/
  const code = /^dist\/(?:[\w-]+\/)*[\w-]+\.(?:js|cjs|d\.ts|d\.cts|js\.map|d\.ts\.map)$/
  const source = /^src\/(?:[\w-]+\/)*[\w-]+\.(?:ts|cjs)$/
  expect(
    files.filter((file) => ![top, pages, code, source].some((known) => known.test(file))),
  ).toEqual([])
  expect(files.filter((file) => top.test(file))).toHaveLength(6)
  expect(statSync(tarball).size).toBeLessThan(1_000_000)
})

test('every file that package.json names is there, and every export resolves', async () => {
  const manifest = JSON.parse(readFileSync(inPackage('package.json'), 'utf8')) as {
    exports: Record<string, unknown>
    bin: object
  }
  const targets = targetsOf([manifest.exports, manifest.bin])
  expect(targets.length).toBeGreaterThan(10)
  expect(targets.filter((target) => !existsSync(inPackage(target)))).toEqual([])
  const names = Object.keys(manifest.exports).map((name) => `segregato${name.slice(1)}`)
  expect(names).toEqual(expect.arrayContaining(['segregato/testing', 'segregato/web']))
  project.write({
    'resolve.mjs': `
      import { createRequire } from 'node:module'
      for (const name of ${JSON.stringify(names)}) {
        import.meta.resolve(name)
        createRequire(import.meta.url)(name)
        await import(name, name.endsWith('.json') ? { with: { type: 'json' } } : {})
        console.log(name)
      }`,
  })
  const output = await project.node('--no-warnings', 'resolve.mjs')
  expect(output.trim().split('\n')).toEqual(names)
})

test('every source map leads to sources in the package', () => {
  const maps = files.filter((file) => file.endsWith('.map'))
  expect(maps.length).toBeGreaterThan(50)
  for (const map of maps) {
    const { sources } = JSON.parse(readFileSync(inPackage(map), 'utf8')) as { sources: string[] }
    for (const source of sources)
      expect(existsSync(resolve(dirname(inPackage(map)), source)), `${map}: ${source}`).toBe(true)
  }
})

test('the command runs', async () => {
  expect(await project.run(project.path('node_modules/.bin/segregato'), ['--help'])).toMatch(/dev/)
  const wrong = project.run(project.path('node_modules/.bin/segregato'), ['nonsense'])
  await expect(wrong).rejects.toThrow(/nonsense/)
})

test('init writes files that explain-config reads', async () => {
  const program = project.path('node_modules/.bin/segregato')
  await project.run(program, ['init'])
  expect(readFileSync(project.path('compose.yml'), 'utf8')).toContain('replica2')
  expect(await project.run(program, ['explain-config'])).toContain('replica2')
  // Nobody listens: what it advises can be read.
  const check = await project.run('sh', ['-c', '"$0" check || true', program], {
    PRIMARY_PORT: '1',
    REPLICA1_PORT: '2',
    REPLICA2_PORT: '3',
  })
  const [, page = '', docs = ''] =
    /docs\/([\w-]+\.md)#unreachable[^]*^docs\/ is (.+)$/m.exec(check) ?? []
  expect(readFileSync(project.path(join(docs, page)), 'utf8')).toContain('### unreachable')
})

test('importing and requiring give the same module, without a warning', async () => {
  project.write({
    'same.cjs': `
      const required = require('segregato')
      import('segregato').then((imported) => {
        const names = Object.keys(imported)
        if (names.length < 30) throw new Error('few names: ' + names)
        for (const name of names) if (required[name] !== imported[name]) throw new Error(name)
        console.log('same')
      })`,
  })
  expect(await project.node('same.cjs')).toBe('same\n')
})

test.each([
  ['publint', ['--strict']],
  ['attw', []],
])('%s finds nothing', async (tool, args) => {
  const output = await project.run(join(ROOT, 'node_modules/.bin', tool), [...args, tarball])
  expect(output).toMatch(/All good|No problems found/)
})
