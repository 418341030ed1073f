import { expect, onTestFinished, test } from 'vitest'
import { build } from '../../support/built.ts'
import { useCluster } from '../../support/cluster.ts'
import { run } from '../../support/program.ts'

const fixture = useCluster('CREATE TABLE posts (id int PRIMARY KEY)')

/** Refuses to find OpenTelemetry, for `import` and `require`, as where it is not installed. */
const NOT_INSTALLED = `
  import { register, Module } from 'node:module'
  const hook = \`export const resolve = (name, context, next) => {
    if (name.startsWith('@opentelemetry')) throw new Error('not installed: ' + name)
    return next(name, context)
  }\`
  register('data:text/javascript,' + encodeURIComponent(hook))
  const find = Module._resolveFilename
  Module._resolveFilename = (name, ...rest) => {
    if (name.startsWith('@opentelemetry')) throw new Error('not installed: ' + name)
    return find.call(Module, name, ...rest)
  }
  const absent = await import('@opentelemetry/api').catch((error) => error.message)
`
const PROGRAM = `${NOT_INSTALLED}
  const { connect } = await import('./dist/index.js')
  const cluster = connect({ config: JSON.parse(process.env.CONFIG) })
  let events = 0
  cluster.events.on('query', () => events++)
  await cluster.reader.query('SELECT 1')
  await cluster.transaction(() => cluster.writer.query('SELECT 1'))
  await cluster.close()
  const loaded = Object.keys(Module._cache).filter((path) => path.includes('opentelemetry'))
  console.log(JSON.stringify({ absent, events, loaded }))
`

test('without the package everything else works, and nobody looks for it', async () => {
  const built = build()
  onTestFinished(() => built.remove())
  const program = run(['--input-type=module', '-e', PROGRAM], {
    cwd: built.directory,
    env: { ...process.env, CONFIG: JSON.stringify(fixture.db.config) },
  })
  expect(await program.ended).toBe(0)
  expect(JSON.parse(program.lines.at(-1)!)).toEqual({
    absent: 'not installed: @opentelemetry/api',
    events: 2,
    loaded: [],
  })
})
