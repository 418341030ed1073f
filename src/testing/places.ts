import { createHash, randomBytes } from 'node:crypto'
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { homedir, hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOpenToAll } from './files.ts'
import { signal } from './processes.ts'
import { watch } from './watchdog.ts'

/** With less room than this in `/dev/shm` (containers have 64 MB by default) the data lies on disk. */
const ROOM_IN_MEMORY = 1024 ** 3

/** How long a directory without an owner is left to its own watchdog. */
const GRACE_MS = 60_000

/**
 * A name for the directory of a new cluster. It tells whose it is, so that a later run can remove it
 * if the machine's end, or a container's, took the watchdog along.
 */
export const nameDirectory = (asRoot: boolean): string =>
  join(dataParent(asRoot), prefixOf(process.pid) + randomBytes(5).toString('hex'))

/** How the names of all directories begin that a running process makes. */
export const prefixOf = (pid: number): string => `segregato-${owner(pid).join('-')}-`

const dataParent = (asRoot: boolean): string => {
  const memory = statfs('/dev/shm')
  if (process.platform === 'linux' && memory !== undefined && memory >= ROOM_IN_MEMORY)
    return '/dev/shm'
  return asRoot && !isOpenToAll(tmpdir()) ? '/tmp' : tmpdir()
}

const statfs = (path: string): number | undefined => {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  } catch {
    return undefined
  }
}

/** Where ids of processes mean the same, an id, and when that process started: ids are used again. */
const owner = (pid: number): readonly [string, string, string] => [
  namespace(),
  String(pid),
  startOf(pid),
]

const namespace = (): string => {
  const pids = quietly(() => readlinkSync('/proc/self/ns/pid')) ?? ''
  return createHash('sha256').update(`${hostname()} ${pids}`).digest('hex').slice(0, 8)
}

/** When a process started, in the kernel's ticks: with its id it names one process only. */
export const startOf = (pid: number): string => {
  const stat = quietly(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0'
}

const quietly = <T>(read: () => T): T | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** Removes directories of clusters whose process is gone and whose watchdog has not done it. */
export const removeAbandoned = (asRoot: boolean): void => {
  const parent = dataParent(asRoot)
  for (const name of quietly(() => readdirSync(parent)) ?? []) {
    const [, place, pid, start] =
      /^segregato-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{10}$/.exec(name) ?? []
    if (place !== namespace() || pid === undefined) continue
    if (signal(Number(pid), 0) && startOf(Number(pid)) === start) continue
    const path = join(parent, name)
    const changed = quietly(() => statSync(path).mtimeMs)
    if (changed === undefined || Date.now() - changed < GRACE_MS) continue
    void watch(path).end()
  }
}

/** The directory that keeps a template between runs, or `undefined` where no safe one can be made. */
export const findCache = (asRoot: boolean): string | undefined => {
  const home = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const candidates = [
    join(home, 'segregato'),
    join(tmpdir(), `segregato-cache-${process.getuid?.() ?? 0}`),
  ]
  return candidates.find((path) => isUsable(path, asRoot))
}

/** A directory that others can write to could hold programs or data of somebody else. */
const isUsable = (path: string, asRoot: boolean): boolean =>
  quietly(() => {
    mkdirSync(path, { recursive: true, mode: 0o755 })
    const { uid, mode } = lstatSync(path)
    const isOurs =
      lstatSync(path).isDirectory() && uid === process.getuid?.() && (mode & 0o022) === 0
    return isOurs && (!asRoot || isOpenToAll(path))
  }) ?? false
