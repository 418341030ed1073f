import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * The program of the watchdog: a process of its own, in a session of its own, that waits for the end
 * of its standard input. Only the process that started the cluster holds the other end, so the end
 * comes when that process closes the cluster, exits, or is killed in any way; then the watchdog ends
 * the servers and removes the directory.
 *
 * It is text since Node.js 20 cannot run TypeScript and a bundler would not find a second file.
 *
 * - Servers are found by their directory, not by remembered ids: one that was started in the last
 *   moment is found, a stranger that got a recycled id is not.
 * - A postmaster ends by SIGQUIT, which removes its System V shared memory; SIGKILL would leave it.
 *   Its children are killed first: frozen ones (SIGSTOP) would make it wait.
 * - What a postmaster that somebody else killed has left is named in its lock file.
 */
const PROGRAM = `
const fs = require('node:fs')
const path = require('node:path')
const { execFileSync } = require('node:child_process')
const directory = process.argv[1]
process.title = 'segregato-watchdog ' + directory
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(name, () => {})

const read = (file) => { try { return fs.readFileSync(file, 'utf8') } catch { return '' } }
const link = (file) => { try { return fs.readlinkSync(file) } catch { return '' } }
const send = (pid, name) => { try { process.kill(pid, name) } catch {} }
const inside = (text) => text.startsWith(directory + '/')

const linux = () => fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map((name) => {
  const stat = read('/proc/' + name + '/stat')
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const command = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
  const ours = /^(postgres|initdb)$/.test(command) && state !== 'Z' &&
    (inside(link('/proc/' + name + '/cwd')) || read('/proc/' + name + '/cmdline').split('\\0').some(inside))
  return { pid: Number(name), parent: Number(parent), ours, gone: state === 'Z' }
})
const others = () => execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' }).trim().split('\\n').map((line) => {
  const [pid, parent, state, ...args] = line.trim().split(/\\s+/)
  const gone = state.startsWith('Z')
  return { pid: Number(pid), parent: Number(parent), ours: !gone && /(postgres|initdb)$/.test(args[0]) && args.some(inside), gone }
})
const servers = () => {
  const all = process.platform === 'linux' ? linux() : others()
  const found = new Set(all.filter((one) => one.ours).map((one) => one.pid))
  for (const one of all) if (found.has(one.parent) && !one.gone) found.add(one.pid)
  const roots = all.filter((one) => found.has(one.pid) && !found.has(one.parent))
  return { found, roots, childrenOf: (pid) => all.filter((one) => one.parent === pid) }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const clean = async () => {
  const asked = new Set()
  for (let round = 0, none = 0; none < 2 && round < 400; round++) {
    const { found, roots, childrenOf } = servers()
    none = found.size === 0 ? none + 1 : 0
    for (const { pid } of roots) {
      if (asked.has(pid)) continue
      asked.add(pid)
      send(pid, 'SIGSTOP')
      for (const child of childrenOf(pid)) send(child.pid, 'SIGKILL')
      send(pid, 'SIGQUIT')
      send(pid, 'SIGCONT')
    }
    if (round > 200) for (const pid of found) send(pid, 'SIGKILL')
    await sleep(none === 0 ? 20 : 5)
  }
  let names = []
  try { names = fs.readdirSync(directory) } catch {}
  for (const name of names) {
    const id = read(path.join(directory, name, 'postmaster.pid')).split('\\n')[6]?.trim().split(/\\s+/)[1]
    if (id) try { execFileSync('ipcrm', ['-m', id], { stdio: 'ignore' }) } catch {}
  }
  fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  process.exit(0)
}
let ending
const end = () => { ending ??= clean() }
process.stdin.on('end', end).on('close', end).on('error', end).resume()
`

/** Ends the servers of one directory and removes it, when told to or when this process is gone. */
export interface Watchdog {
  /** The id of its process. */
  readonly pid: number
  /** Ends all servers and removes the directory. */
  end(): Promise<void>
}

/** Starts the watchdog of a directory that need not exist yet. */
export const watch = (directory: string): Watchdog => {
  const child = spawn(process.execPath, ['-e', PROGRAM, directory], {
    cwd: '/',
    detached: true,
    // Not the options of this process: a loader or a debugger has no business there.
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const exited = once(child, 'exit')
  exited.catch(() => undefined)
  child.stdin.on('error', () => undefined)
  child.unref()
  // The pipe must not keep a script alive that forgot to close its cluster.
  ;(child.stdin as unknown as { unref?: () => void }).unref?.()
  return {
    pid: child.pid ?? 0,
    end: async () => {
      child.ref()
      child.stdin.end()
      await exited
    },
  }
}
