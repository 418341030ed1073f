import { join } from 'node:path'
import pg from 'pg'
import { connect } from '../../src/cluster/connect.ts'
import { startCluster, type TestCluster } from '../../src/testing/start-cluster.ts'
import ts from 'typescript'
import { stringify } from 'yaml'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { run } from '../support/program.ts'
import { readDocuments, ROOT } from '../support/documents.ts'
import { scratch, type Scratch } from './scratch.ts'

const { blocks, text: page } = readDocuments().find(({ path }) => path === 'docs/recipes.md')!

/** The one block of the page with this text in it. */
const blockWith = (text: string): string => {
  const found = blocks.filter((block) => block.text.includes(text))
  expect(found, text).toHaveLength(1)
  return found[0]!.text
}

/** What Node.js 20 can run of it, in files that end with `.mjs`. */
const javaScript = (text: string): string =>
  ts
    .transpileModule(text, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
      },
    })
    .outputText.replaceAll(/(['"]\.\/[\w-]+)\.ts(['"])/g, '$1.mjs$2')

let servers: TestCluster
let project: Scratch
/** What the recipes call the user and the database. */
const PASSWORD = 'of-the-application'
const variables = (): Record<string, string> => ({
  DB_PASSWORD: PASSWORD,
  PRIMARY_HOST: `127.0.0.1:${servers.config.master.port}`,
  REPLICA_HOST: `127.0.0.1:${servers.config['replica1']!.port}`,
})

const admin = async (...statements: readonly string[]): Promise<void> => {
  const client = new pg.Client(servers.url('master'))
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}

beforeAll(async () => {
  servers = await startCluster({ replicas: 1, onProgress: () => {} })
  project = await scratch([
    inject('tarball'),
    '@nestjs/common@11',
    '@nestjs/core@11',
    'reflect-metadata@0.2',
    'rxjs@7',
    '@types/node@20',
  ])
  await admin(`CREATE ROLE app LOGIN PASSWORD '${PASSWORD}'`, 'CREATE DATABASE blog OWNER app')
  const nodes = Object.entries(servers.config).map(([name, { host, port }]) => [
    name,
    { host, port, database: 'blog', username: 'app', password: '${DB_PASSWORD}', pool: 2 },
  ])
  project.write({
    'database.yml': stringify({ development: Object.fromEntries(nodes) }),
    '.env': `DB_PASSWORD=${PASSWORD}\n`,
    'cluster.mjs': javaScript(blockWith('// cluster.ts')),
    'posts.mjs': javaScript(blockWith('// posts.ts')),
    'table.mjs': `
      import { cluster } from './cluster.mjs'
      await cluster.writer.query("CREATE TABLE posts (id int PRIMARY KEY, title text, created_at timestamptz DEFAULT now())")
      await cluster.writer.query("INSERT INTO posts VALUES (1, 'Hello')")`,
  })
  // It ends by itself.
  expect(await project.node('table.mjs')).toBe('')
  const replica = new pg.Client(servers.url('replica1').replace(/[^/]*$/, 'blog'))
  await replica.connect()
  const arrived = async (): Promise<void> => {
    const { rowCount } = await replica.query('SELECT FROM posts')
    if (rowCount === 0) throw new Error('The replica has not followed yet')
  }
  await vi.waitFor(arrived, { timeout: 60_000 })
  await replica.end()
})
afterAll(() => servers?.close())

const start = (file: string) =>
  run([file], {
    cwd: project.directory,
    env: { PATH: process.env['PATH'], ...variables() },
  })

describe.each([
  ['nodenext', { module: 'nodenext' }],
  ['commonjs', { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' }],
] as const)('NestJS, module %s', (name, options) => {
  test('the provider checks the servers, is injected, and closes with the application', async () => {
    project.write({
      [`${name}/database.module.ts`]: blockWith('DatabaseModule'),
      [`${name}/main.ts`]: `
        import 'reflect-metadata'
        import { Inject, Injectable, Module } from '@nestjs/common'
        import { NestFactory } from '@nestjs/core'
        import { StrictReadBase, type Cluster } from 'segregato'
        import { CLUSTER, DatabaseModule } from './database.module'
        class PostQuery extends StrictReadBase {
          static override tableName = 'posts'
          declare id: number
          declare title: string
        }
        @Injectable()
        class Posts {
          constructor(@Inject(CLUSTER) readonly cluster: Cluster) {}
          first = async () => this.cluster.using('primary', async () => PostQuery.find(1))
        }
        @Module({ imports: [DatabaseModule], providers: [Posts] })
        class AppModule {}
        const main = async (): Promise<void> => {
          const app = await NestFactory.createApplicationContext(AppModule, { logger: false })
          app.enableShutdownHooks()
          const posts = app.get(Posts)
          console.log((await posts.first())?.title)
          setInterval(() => {}, 60_000)
          const { close } = posts.cluster
          posts.cluster.close = async () => console.log('closed', await close.call(posts.cluster))
          console.log('ready')
        }
        void main()`,
      [`${name}/tsconfig.json`]: JSON.stringify({
        compilerOptions: {
          ...options,
          target: 'es2022',
          strict: true,
          skipLibCheck: true,
          experimentalDecorators: true,
          emitDecoratorMetadata: true,
          types: ['node'],
          outDir: 'out',
          rootDir: '.',
        },
        files: ['main.ts'],
      }),
    })
    expect(await project.run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', name])).toBe('')
    const program = start(`${name}/out/main.js`)
    await program.line(/^ready$/)
    program.child.kill('SIGTERM')
    // Nest ends itself by the same signal.
    expect(await program.ended).toBe('SIGTERM')
    expect(program.lines).toEqual(['Hello', 'ready', 'closed undefined'])
  })
})

test('Next.js: a module that is evaluated again gets the same cluster, and opens none itself', async () => {
  project.write({
    'kept-cluster.mjs': javaScript(blockWith('// kept-cluster.ts')),
    'again.mjs': `
      const seen = new Set()
      for (let turn = 0; turn < 3; turn++) {
        const { keptCluster } = await import('./kept-cluster.mjs?' + turn)
        if (turn === 0 && globalThis.blogCluster !== undefined) throw new Error('opened by the import')
        seen.add(keptCluster())
      }
      console.log(seen.size)`,
    'next.config.mjs': javaScript(blockWith('// next.config.ts')),
    'configured.mjs': `console.log(JSON.stringify((await import('./next.config.mjs')).default))`,
  })
  expect(await project.node('again.mjs')).toBe('1\n')
  expect(await project.node('configured.mjs')).toBe('{"serverExternalPackages":["segregato"]}\n')
})

test('AWS Lambda: invocations share connections, and nothing keeps the process', async () => {
  const handler = javaScript(blockWith('// handler.ts')).replace('?sslmode=verify-full', '')
  project.write({
    'handler.mjs': `import { PostQuery } from './posts.mjs'\n${handler}`,
    'invoke.mjs': `
      import { handler, lambdaCluster } from './handler.mjs'
      for (let turn = 0; turn < 3; turn++) console.log((await handler({ id: 1 })).post.title)
      console.log(lambdaCluster.reader.totalCount)`,
  })
  const program = start('invoke.mjs')
  expect(await program.ended).toBe(0)
  expect(program.lines).toEqual(['Hello', 'Hello', 'Hello', '1'])
})

test('node:cluster: every worker has a cluster of its own', async () => {
  const recipe = javaScript(blockWith("from 'node:cluster'"))
  project.write({
    'workers.mjs': `${recipe}
      if (workers.isWorker) {
        const { cluster } = await import('./cluster.mjs')
        console.log('worker', cluster.status().nodes.map(({ node }) => node).join())
        process.disconnect()
      }`,
  })
  const program = start('workers.mjs')
  expect(await program.ended).toBe(0)
  expect(program.lines.length).toBeGreaterThan(0)
  expect(new Set(program.lines)).toEqual(new Set(['worker master,replica1']))
})

test('pm2: on SIGINT a request has its answer, then the worker exits although a channel is open', async () => {
  const recipe = javaScript(blockWith("process.once('SIGINT', () => {\n  server.close("))
  project.write({
    'worker.mjs': `
      import { createServer } from 'node:http'
      import { cluster } from './cluster.mjs'
      const server = createServer(async (_request, response) => {
        process.send('asked')
        const { rows } = await cluster.reader.query("SELECT 'answered' AS a FROM pg_sleep(0.5)")
        response.end(rows[0].a)
      })
      ${recipe}
      server.listen(0, '127.0.0.1', () => process.send(server.address().port))`,
    'manager.mjs': `
      import { fork } from 'node:child_process'
      const worker = fork('./worker.mjs')
      worker.on('message', async (message) => {
        if (message === 'asked') worker.kill('SIGINT')
        else console.log(await (await fetch('http://127.0.0.1:' + message)).text())
      })
      worker.on('exit', (code, signal) => console.log('exit', code, signal))`,
  })
  const program = start('manager.mjs')
  expect(await program.ended).toBe(0)
  expect(program.lines).toEqual(['answered', 'exit 0 null'])
})

test('connections: a process opens what the page says, and no more', async () => {
  const cluster = connect({
    config: {
      ...servers.config,
      master: { ...servers.config.master, pool: 2, applicationName: 'counted' },
      replica1: { ...servers.config['replica1']!, pool: 2, applicationName: 'counted' },
    } as never,
  })
  try {
    const text = 'SELECT FROM pg_sleep(0.01)'
    await Promise.all(
      Array.from({ length: 20 }, () => [
        cluster.reader.query(text),
        cluster.writer.query(text),
        cluster.transaction(() => cluster.writer.query(text)),
        cluster.snapshot(() => cluster.reader.query(text)),
        cluster.using('primary', async () => cluster.reader.query(text)),
      ]).flat(),
    )
    const counts: Record<string, number> = {}
    for (const name of ['master', 'replica1']) {
      const client = new pg.Client(servers.url(name))
      await client.connect()
      const { rowCount } = await client.query(
        "SELECT FROM pg_stat_activity WHERE application_name LIKE 'counted%'",
      )
      await client.end()
      counts[name] = rowCount!
    }
    expect(page).toContain('| a replica | processes × (`pool` + 1) |')
    expect(page).toContain('| the primary | processes × (2 × `pool` + 1)')
    expect(counts).toEqual({ master: 2 * 2 + 1, replica1: 2 + 1 })
  } finally {
    await cluster.close()
  }
})

test('connections: the sums of the page are right', () => {
  const sums = [...page.matchAll(/(\d+) × \((?:(\d+) × )?(\d+) \+ 1\) = (\d+)/g)]
  expect(sums.length).toBeGreaterThan(1)
  for (const [sum, processes, sets = '1', pool, total] of sums)
    expect(Number(processes) * (Number(sets) * Number(pool) + 1), sum).toBe(Number(total))
})
