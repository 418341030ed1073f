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

/** What ORMs look at to tell whether they were given a pool. */
const PROGRAM = `
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
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    cwd: built.directory,
    encoding: 'utf8',
  })
  expect(said.trim().split('\n')).toEqual(['false', 'true true', 'true true'])
})
