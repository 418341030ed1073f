import { join } from 'node:path'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ROOT, scratch, type Scratch } from './scratch.ts'

/** Uses most kinds of types that an application sees; each `@ts-expect-error` fails when types are lost. */
const APPLICATION = `
import { connect, ConfigError, StrictReadBase, StrictWriteBase } from 'segregato'
import type { ClusterConfigInput, ClusterStatus, Page, ReadQuery, RouteReason, Where } from 'segregato'
import { startCluster, type TestCluster } from 'segregato/testing'
import { metrics, readYourWrites, readYourWritesHono, ready, type Middleware } from 'segregato/web'

class PostQuery extends StrictReadBase {
  static override tableName = 'posts'
  declare id: string
  declare title: string
}
class PostCommand extends StrictWriteBase {
  static override tableName = 'posts'
  declare id: string
  declare title: string
}
export const run = async (): Promise<ClusterStatus> => {
  const servers: TestCluster = await startCluster()
  const config: ClusterConfigInput = servers.config
  const cluster = connect({ config })
  const post = await PostCommand.create({ title: 'Hello' })
  const where: Where<typeof PostQuery> = { id: post.id }
  const query: ReadQuery<typeof PostQuery> = PostQuery.where(where)
  const titles: string[] = await query.pluck('title')
  const page: Page<PostQuery> = await query.paginate()
  const { rows } = await cluster.reader.query<{ n: number }>('select 1 as n')
  const n: number = rows[0]!.n
  await PostQuery.query((qb) => qb.where({ title: titles[n] ?? '' }))
  cluster.events.on('query', ({ reason }) => reason satisfies RouteReason)
  const middleware: Middleware = readYourWrites(cluster, { cookie: { secure: true } })
  readYourWritesHono(cluster)
  ready(cluster)
  // @ts-expect-error a time is a number
  readYourWrites(cluster, { timeoutMs: '1s' })
  const body: string = await (await metrics(cluster).answer()).text()
  await cluster.session(async ({ hasWritten }) => hasWritten satisfies boolean)
  // @ts-expect-error the rows of pg are typed
  const wrong: string = rows[0]!.n
  // @ts-expect-error a read model cannot write
  await PostQuery.create({})
  // @ts-expect-error no such column
  await PostQuery.where({ nothing: 1 })
  if (page.next === wrong || middleware.length === body.length) throw new ConfigError([])
  return cluster.status()
}
`

const STRICT = {
  target: 'es2022',
  strict: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  noEmit: true,
  types: ['node'],
}

let project: Scratch
beforeAll(async () => {
  // An older one than what the types of pg bring by themselves.
  project = await scratch([inject('tarball'), '@types/node@20'])
})

describe.each([
  ['CommonJS, node16', { module: 'node16' }, 'commonjs'],
  ['CommonJS, nodenext', { module: 'nodenext' }, 'commonjs'],
  [
    'CommonJS, node10',
    { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' },
    'commonjs',
  ],
  ['modules, node16', { module: 'node16' }, 'module'],
  ['modules, bundler', { module: 'esnext', moduleResolution: 'bundler' }, 'module'],
  ['CommonJS, bundler', { module: 'commonjs', moduleResolution: 'bundler' }, 'commonjs'],
] as const)('a strict application in TypeScript: %s', (name, options, type) => {
  test('compiles, the declarations included', { timeout: 120_000 }, async () => {
    const directory = name.replace(/\W+/g, '-')
    project.write({
      [`${directory}/package.json`]: JSON.stringify({ type }),
      [`${directory}/main.ts`]: APPLICATION,
      [`${directory}/tsconfig.json`]: JSON.stringify({
        compilerOptions: { ...STRICT, ...options },
        files: ['main.ts'],
      }),
    })
    const tsc = join(ROOT, 'node_modules/.bin/tsc')
    expect(await project.run(tsc, ['-p', directory])).toBe('')
  })
})
