import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** A process of this machine. */
interface ProcessEntry {
  readonly pid: number
  readonly parent: number
}

/** The processes that `parent` has started itself: for a postmaster, all of its backends and workers. */
export const childrenOf = (parent: number): readonly number[] =>
  (process.platform === 'linux' ? fromProc() : fromPs())
    .filter((entry) => entry.parent === parent)
    .map(({ pid }) => pid)

/** Sends a signal; false when there is no such process any more. */
export const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/** `ps` is missing in slim images, so Linux is asked directly. */
const fromProc = (): readonly ProcessEntry[] =>
  readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    const stat = statOf(name)
    return stat === undefined ? [] : [{ pid: Number(name), parent: Number(stat[1]) }]
  })

/** The fields of `/proc/<pid>/stat` after the command's name, which may contain spaces and brackets. */
const statOf = (pid: string): readonly string[] | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

const fromPs = (): readonly ProcessEntry[] =>
  execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, parent]) => ({ pid: Number(pid), parent: Number(parent) }))
