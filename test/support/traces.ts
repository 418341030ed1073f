import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect } from 'vitest'

/** What a running test cluster occupies on this machine. */
export interface Traces {
  readonly directory: string
  readonly ports: readonly number[]
  /** Ids of System V shared memory segments. */
  readonly segments: readonly string[]
  /** Ids of all processes: servers, their children, the watchdog. */
  readonly processes: readonly number[]
}

/** Reads from the directory of a running cluster what it occupies. */
export const tracesOf = (directory: string): Traces => {
  const locks = readdirSync(directory)
    .map((name) => join(directory, name, 'postmaster.pid'))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, 'utf8').split('\n'))
  return {
    directory,
    ports: locks.map((lines) => Number(lines[3])),
    segments: locks.map((lines) => lines[6]?.trim().split(/\s+/)[1] ?? ''),
    processes: processesOf(directory),
  }
}

/** What is left of it: nothing, when all is well. */
export const leftOf = async (traces: Traces): Promise<object> => {
  const open = await Promise.all(
    traces.ports.map(async (port) => ((await listens(port)) ? [port] : [])),
  )
  const segments = new Set(sharedSegments())
  const left = {
    directory: existsSync(traces.directory) ? [traces.directory] : [],
    ports: open.flat(),
    segments: traces.segments.filter((id) => segments.has(id)),
    processes: [
      ...new Set([...traces.processes.filter(isAlive), ...processesOf(traces.directory)]),
    ],
    memory: memoryOf(traces.processes),
  }
  return Object.fromEntries(Object.entries(left).filter(([, found]) => found.length > 0))
}

/** Waits until nothing is left; shows what is when that does not come. */
export const vanishes = (traces: Traces): Promise<void> =>
  expect.poll(() => leftOf(traces), { timeout: 15_000, interval: 50 }).toEqual({})

/** All processes that work in the directory or were started for it. */
const processesOf = (directory: string): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isAlive(Number(name)))
    .filter((name) => {
      const command = quietly(() => readFileSync(`/proc/${name}/cmdline`, 'utf8')) ?? ''
      const place = quietly(() => readlinkSync(`/proc/${name}/cwd`)) ?? ''
      return command.includes(directory) || place.startsWith(directory)
    })
    .map(Number)

/** The name of the program that a process runs. */
export const commandOf = (pid: number): string | undefined =>
  quietly(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim())

/** Not those that have ended and wait for their parent. */
const isAlive = (pid: number): boolean => {
  const stat = quietly(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  return stat !== undefined && stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z'
}

/** POSIX segments in `/dev/shm` that these servers' processes have mapped (PostgreSQL names them after nobody). */
const memoryOf = (pids: readonly number[]): readonly string[] =>
  pids.flatMap(
    (pid) =>
      (quietly(() => readFileSync(`/proc/${pid}/maps`, 'utf8')) ?? '').match(
        /\/dev\/shm\/PostgreSQL\.\d+/g,
      ) ?? [],
  )

const sharedSegments = (): readonly string[] =>
  readFileSync('/proc/sysvipc/shm', 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/)[1] ?? '')

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const answer = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => answer(true)).once('error', () => answer(false))
  })

const quietly = <T>(read: () => T): T | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}
