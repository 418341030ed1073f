import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import { ROUTE_REASONS } from '../../src/cluster/statement.ts'
import { NODE_KEYS, SETTING_KEYS } from '../../src/config/keys.ts'
import { loadConfig } from '../../src/config/load.ts'
import { READ_CLASS, WRITE_CLASS, WRITE_INSTANCE } from '../../src/models/operations.ts'
import {
  brokenLinks,
  codeRows,
  compileBlocks,
  readDocuments,
  ROOT,
  sectionOf,
} from '../support/documents.ts'

const documents = readDocuments()
const readme = documents.find(({ path }) => path === 'README.md')!

test('the documents are there', () => {
  const paths = documents.map(({ path }) => path)
  for (const path of [
    'README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'docs/architecture.md',
  ])
    expect(paths).toContain(path)
})

test('every TypeScript block compiles', { timeout: 120_000 }, () => {
  const { compiled, mistakes } = compileBlocks(documents)
  expect(compiled).toBeGreaterThan(10)
  expect(mistakes).toEqual([])
})

test('every link to a file or a heading leads somewhere', () => {
  expect(brokenLinks(documents)).toEqual([])
})

test('every npm script and command that is named exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const named = documents.flatMap(({ path, text }) => [
    ...[...text.matchAll(/\bnpm (?:run(?: --silent)? ([\w:.-]+)|(test|start)\b)/g)]
      .map(([, script, short]) => script ?? short!)
      .filter((script) => scripts[script] === undefined)
      .map((script) => `${path}: npm run ${script}`),
    ...[...text.matchAll(/\bnpx segregato ([a-z][\w-]*)/g)]
      .filter(([, command]) => !existsSync(join(ROOT, 'src/cli', `${command}.ts`)))
      .map(([whole]) => `${path}: ${whole}`),
  ])
  expect(readme.text).toContain('npm ci && npm run demo')
  expect(readme.text).toContain('npm ci && npm test')
  expect(named).toEqual([])
})

const directory = mkdtempSync(join(tmpdir(), 'segregato-docs-'))
afterAll(() => rmSync(directory, { recursive: true }))
afterEach(() => {
  vi.unstubAllEnvs()
})

const configurations = documents.flatMap(({ path, blocks }) =>
  blocks
    .filter(({ language, info }) => /^ya?ml$/.test(language) && info !== 'fragment')
    .map(({ text, line }) => [`${path}:${line}`, text] as const),
)

test('configurations are shown', () => {
  expect(configurations.length).toBeGreaterThan(1)
})

test.each(configurations)('the configuration of %s loads, each environment of it', (_, text) => {
  for (const [, shell, ruby] of text.matchAll(/\$\{(\w+)\}|ENV\[['"](\w+)/g))
    vi.stubEnv((shell ?? ruby)!, 'x')
  const file = join(directory, 'database.yml')
  writeFileSync(file, text)
  const environments = Object.entries(parse(text, { merge: true }) as Record<string, object>)
    .filter(([, map]) => 'master' in map || 'primary' in map)
    .map(([name]) => name)
  expect(environments).not.toEqual([])
  for (const env of environments) {
    const config = loadConfig({ config: file, env })
    expect(config).toMatchObject({ environment: env })
    // What only other keys refer to stands beside the environments: inside one it would be a replica.
    expect(config.replicas.map(({ name }) => name)).not.toContain('default')
  }
})

test.each([
  ['Keys of a node', NODE_KEYS],
  ['Settings', SETTING_KEYS],
])('the table "%s" has every key with its default', (heading, definitions) => {
  const rows = new Map(
    codeRows(sectionOf(readme, heading)).map(([name, ...cells]) => [name, cells]),
  )
  expect([...rows.keys()].toSorted()).toEqual(Object.keys(definitions).toSorted())
  for (const [name, definition] of Object.entries(definitions)) {
    const value = (definition as { default?: unknown }).default
    if (['string', 'number', 'boolean'].includes(typeof value))
      expect(rows.get(name)![0], name).toContain(`\`${String(value)}\``)
  }
})

test('the table of errors has every class with its code', () => {
  const source = readFileSync(join(ROOT, 'src/errors.ts'), 'utf8')
  const classes = [
    ...source.matchAll(/^export class (\w+) extends[^{]*\{\s+readonly code = '(SEGREGATO_\w+)'/gm),
  ].map(([, name, code]) => `${code} ${name}`)
  const rows = codeRows(sectionOf(readme, 'Errors')).map(
    ([code, name]) => `${code} ${name!.replaceAll('`', '')}`,
  )
  expect(classes.length).toBeGreaterThan(15)
  expect(rows.toSorted()).toEqual(classes.toSorted())
})

test('the table of routing reasons has every reason', () => {
  const rows = codeRows(sectionOf(readme, 'Where a statement ran')).map(([reason]) => reason)
  expect(rows.toSorted()).toEqual([...ROUTE_REASONS].toSorted())
})

test('the sections on models name every method', () => {
  const names = (heading: string): string => sectionOf(readme, heading)
  for (const name of READ_CLASS) expect(names('Read models')).toContain(`\`${name}`)
  for (const name of [...WRITE_CLASS, ...WRITE_INSTANCE])
    expect(names('Write models')).toContain(`\`${name}`)
})
