import { copyFileSync, mkdtempSync } from 'node:fs'
import { basename, join } from 'node:path'
import { rolldown } from 'rolldown'
import { beforeAll, expect, inject, test } from 'vitest'
import { scratch, type Scratch } from './scratch.ts'

/** Needs each package that is loaded on first use: yaml and dotenv in connect(), Knex in query(). */
const APPLICATION = `
import { writeFileSync } from 'node:fs'
import { connect, StrictReadBase } from 'segregato'
class PostQuery extends StrictReadBase { static tableName = 'posts' }
writeFileSync('database.yml', 'development: { master: { url: "\${URL}:1/blog" }, replica1: { url: "\${URL}:2/blog" } }')
writeFileSync('.env', 'URL=postgres://app@127.0.0.1')
const cluster = connect()
const refused = PostQuery.query((qb) => qb.where({ id: 1 }).del()).catch((error) => error.name)
refused.then((name) => console.log(cluster.status().nodes.map(({ node }) => node).join(), name))
`
const EXPECTED = 'master,replica1 StrictReadModelError\n'
/** pg is CommonJS: esbuild leaves its \`require\` of Node.js's own modules alone. */
const BANNER = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)`

let project: Scratch
let deployed: string
beforeAll(async () => {
  project = await scratch([inject('tarball'), 'esbuild@0.28'])
  project.write({ 'app.mjs': APPLICATION })
  deployed = mkdtempSync(join(inject('workshop'), 'deployed-'))
})

/** Runs one file where there is no node_modules. */
const runAlone = (file: string): Promise<string> => {
  copyFileSync(file, join(deployed, basename(file)))
  return project.run('env', ['-C', deployed, process.execPath, basename(file)])
}

const esbuild = async (outfile: string, ...flags: string[]): Promise<string> => {
  const args = ['app.mjs', '--bundle', `--outfile=${outfile}`, '--log-level=warning', ...flags]
  expect(await project.run(project.path('node_modules/.bin/esbuild'), args)).toBe('')
  return project.path(outfile)
}

test.each([
  ['cjs', []],
  ['esm', [`--banner:js=${BANNER}`]],
])('one file made by esbuild runs alone: %s', async (format, flags) => {
  const extension = format === 'cjs' ? 'cjs' : 'mjs'
  const flagsOfNode = ['--platform=node', `--format=${format}`, ...flags]
  expect(await runAlone(await esbuild(`esbuild.${extension}`, ...flagsOfNode))).toBe(EXPECTED)
})

test.each(['cjs', 'esm'] as const)('one file made by rolldown runs alone: %s', async (format) => {
  const file = project.path(`rolldown.${format === 'cjs' ? 'cjs' : 'mjs'}`)
  const bundle = await rolldown({ input: project.path('app.mjs'), platform: 'node' })
  await bundle.write({ file, format })
  expect(await runAlone(file)).toBe(EXPECTED)
})

test.each([
  ['edge-light', '--platform=neutral'],
  ['workerd', '--platform=neutral'],
  ['browser', '--platform=browser'],
])('under the condition %s an import says that it needs Node.js', async (condition, platform) => {
  project.write({ 'edge.mjs': `import { connect } from 'segregato'\nconnect()\n` })
  const outfile = `edge-${condition}.mjs`
  const args = ['edge.mjs', '--bundle', '--format=esm', platform, `--conditions=${condition}`]
  const bin = project.path('node_modules/.bin/esbuild')
  await project.run(bin, [...args, `--outfile=${outfile}`, '--log-level=warning'])
  await expect(project.node(outfile)).rejects.toThrow(
    /UnsupportedRuntimeError.*segregato needs Node\.js/,
  )
})
