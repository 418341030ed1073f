import { execFileSync } from 'node:child_process'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { build } from '../support/built.ts'
import type { Built } from '../support/built.ts'

let built: Built
beforeAll(() => {
  built = build()
})
afterAll(() => built.remove())

const run = (program: string): string =>
  execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: built.directory,
    encoding: 'utf8',
  })

/** The packages of CommonJS, as all of these are, that a program has loaded. */
const LOADED = `
  const { default: module } = await import('node:module')
  const names = Object.keys(module._cache).map((path) => /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(path)?.[1])
  console.log(JSON.stringify([...new Set(names)].filter(Boolean).sort()))
`

test('importing the library loads pg and nothing that is only needed later', () => {
  const loaded = JSON.parse(run(`await import('./dist/index.js'); ${LOADED}`)) as string[]
  expect(loaded).toContain('pg')
  expect(loaded.filter((name) => !/^(?:pg|pgpass|postgres|split2|xtend)/.test(name))).toEqual([])
  const control = JSON.parse(
    run(`(await import('node:module')).createRequire(process.cwd() + '/x.js')('yaml'); ${LOADED}`),
  ) as string[]
  expect(control).toContain('yaml')
})

test('importing changes no global and keeps no process alive', () => {
  const program = `
    await import('pg')
    const before = Reflect.ownKeys(globalThis).length + Object.keys(process.env).length
    await import('./dist/index.js')
    await import('./dist/testing/start-cluster.js')
    console.log(Reflect.ownKeys(globalThis).length + Object.keys(process.env).length - before, process.listenerCount('exit'))
  `
  const exits = run(`console.log(process.listenerCount('exit'))`)
  expect(run(program)).toBe(`0 ${exits}`)
})

/** What ORMs look at to tell whether they were given a pool. */
const POOLS = `
  import pg from 'pg'
  import { Cluster, connect } from './dist/minified.js'
  const cluster = connect({ config: { master: 'postgres://localhost:1/a', replica1: 'postgres://localhost:2/a' } })
  console.log(Cluster.name === 'Cluster')
  for (const pool of [cluster.writer, cluster.reader])
    console.log(pool instanceof pg.Pool, pool.constructor.name.includes('Pool'))
  await cluster.close()
`

test('pools are pg.Pools, with "Pool" in the names of their classes, also where classes lose them', async () => {
  const external = [/^(?:node:|pg$|knex$|yaml$|dotenv$)/]
  const bundle = await rolldown({ input: built.path('index.js'), platform: 'node', external })
  await bundle.write({ file: built.path('minified.js'), format: 'esm', minify: true })
  expect(run(POOLS).trim().split('\n')).toEqual(['false', 'true true', 'true true'])
})
