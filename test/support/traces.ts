/**
 * What a test cluster leaves on this machine. Other tests run at the same time and look alike, ids of
 * processes and ports are used again: so each trace is something that only this cluster can have.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect } from 'vitest'
import { startOf } from '../../src/testing/places.ts'

/** What a running test cluster occupies on this machine. */
export interface Traces {
  /** The name of its directory, or how those of all clusters of a program begin. */
  readonly name: string
  readonly ports: readonly number[]
  /** What listens on its ports, each as `<port> <inode of the socket>`. */
  readonly sockets: readonly string[]
  /** Ids of System V shared memory segments. */
  readonly segments: readonly string[]
  /** All processes: servers, their children, the watchdog. */
  readonly processes: readonly Process[]
}

interface Process {
  readonly pid: number
  readonly start: string
}

/** Where directories of clusters may lie. */
const PLACES = [...new Set(['/dev/shm', tmpdir(), '/tmp'])]

/** Reads from the directory of a running cluster what it occupies. */
export const tracesOf = (directory: string): Traces => {
  const locks = readdirSync(directory)
    .map((name) => quietly(() => readFileSync(join(directory, name, 'postmaster.pid'), 'utf8')))
    .filter((text) => text !== undefined)
    .map((text) => text.split('\n'))
  const name = basename(directory)
  const ports = locks.map((lines) => Number(lines[3]))
  return {
    name,
    ports,
    sockets: socketsOn(ports),
    segments: locks.map((lines) => lines[6]?.trim().split(/\s+/)[1] ?? ''),
    processes: processesOf(name),
  }
}

/** What is occupied now by all clusters whose directories' names begin so, with servers that listen there. */
export const tracesOfAll = (name: string, ports: readonly number[] = []): Traces => ({
  name,
  ports,
  sockets: socketsOn(ports),
  segments: [],
  processes: processesOf(name),
})

/** What is left of it: nothing, when all is well. */
export const leftOf = (traces: Traces): object => {
  const listening = new Set(socketsOn(traces.ports))
  const segments = new Set(sharedSegments())
  const running = traces.processes.filter(isAlive)
  const found = processesOf(traces.name).filter(
    ({ pid }) => !running.some((process) => process.pid === pid),
  )
  const left = {
    directory: directoriesOf(traces.name),
    ports: traces.sockets.filter((socket) => listening.has(socket)),
    segments: traces.segments.filter((id) => segments.has(id)),
    processes: [...running, ...found].map(({ pid }) => `${pid} ${commandOf(pid)}`),
    memory: running.flatMap(memoryOf),
  }
  return Object.fromEntries(Object.entries(left).filter(([, is]) => is.length > 0))
}

/** Waits until nothing is left; shows what is when that does not come. */
export const vanishes = (traces: Traces): Promise<void> =>
  expect.poll(() => leftOf(traces), { timeout: 15_000, interval: 50 }).toEqual({})

/** The directories of clusters whose names begin so. */
export const directoriesOf = (name: string): readonly string[] =>
  PLACES.flatMap((place) =>
    (quietly(() => readdirSync(place)) ?? [])
      .filter((each) => each.startsWith(name))
      .map((each) => join(place, each)),
  )

/** All processes that work in a directory whose name begins so, or were started for it. */
const processesOf = (name: string): readonly Process[] =>
  readdirSync('/proc')
    .filter((each) => /^\d+$/.test(each))
    .map((pid) => ({ pid: Number(pid), start: startOf(Number(pid)) }))
    .filter(isAlive)
    .filter(({ pid }) => {
      const command = quietly(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? ''
      const place = quietly(() => readlinkSync(`/proc/${pid}/cwd`)) ?? ''
      return [command, place].some((text) => PLACES.some((each) => text.includes(join(each, name))))
    })

/** The name of the program that a process runs. */
export const commandOf = (pid: number): string | undefined =>
  quietly(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim())

/** Not those that have ended and wait for their parent, nor another one with an id that was used again. */
const isAlive = ({ pid, start }: Process): boolean => {
  const stat = quietly(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields !== undefined && fields[0] !== 'Z' && fields[19] === start
}

/** POSIX segments in `/dev/shm` that a server's process has mapped (PostgreSQL names them after nobody). */
const memoryOf = ({ pid }: Process): readonly string[] =>
  (quietly(() => readFileSync(`/proc/${pid}/maps`, 'utf8')) ?? '').match(
    /\/dev\/shm\/PostgreSQL\.\d+/g,
  ) ?? []

const sharedSegments = (): readonly string[] =>
  readFileSync('/proc/sysvipc/shm', 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/)[1] ?? '')

/** The listening sockets on these ports. */
const socketsOn = (ports: readonly number[]): readonly string[] =>
  ['/proc/net/tcp', '/proc/net/tcp6']
    .flatMap((path) => (quietly(() => readFileSync(path, 'utf8')) ?? '').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === LISTENING)
    .map(([, address, , , , , , , , inode]) => ({
      port: Number.parseInt(address?.split(':').at(-1) ?? '', 16),
      inode,
    }))
    .filter(({ port }) => ports.includes(port))
    .map(({ port, inode }) => `${port} ${inode}`)

/** As the kernel writes it. */
const LISTENING = '0A'

const quietly = <T>(read: () => T): T | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}
