import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { prefixOf } from '../../src/testing/places.ts'

/** A program that a test has started, and what it prints. */
export interface Program {
  readonly child: ChildProcess
  readonly pid: number
  /** How the names of all directories begin that its test clusters make; it is known after its end too. */
  readonly clusters: string
  /** All lines so far, of both outputs. */
  readonly lines: readonly string[]
  /** The first line that matches, also when it is there already; rejects when the program ends without it. */
  line(pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves with the exit status, or the signal's name. */
  readonly ended: Promise<number | string>
}

/** Starts Node.js in a process group of its own, as a terminal does; it is killed when the test ends before it. */
export const run = (args: readonly string[], options: SpawnOptions = {}): Program => {
  const child = spawn(process.execPath, args, {
    ...options,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const pid = child.pid ?? 0
  const clusters = prefixOf(pid)
  const lines: string[] = []
  const waiting = new Set<() => void>()
  let isOver = false
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      for (const look of waiting) look()
    })
  }
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (status, signal) => {
      isOver = true
      for (const look of waiting) look()
      resolve(status ?? signal ?? 'unknown')
    })
  })
  const line = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = lines.map((text) => pattern.exec(text)).find((match) => match !== null)
        if (found) resolve(found)
        else if (isOver)
          reject(new Error(`The program ended without ${String(pattern)}:\n${lines.join('\n')}`))
        else return
        waiting.delete(look)
      }
      waiting.add(look)
      look()
    })
  return { child, pid, clusters, lines, line, ended }
}

/** Ctrl-C in a terminal: the signal goes to the whole process group. */
export const pressCtrlC = ({ pid }: Program): boolean => process.kill(-pid, 'SIGINT')
