import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Operation } from './history.ts'
import type { Line } from './worker/recorder.ts'

/** The calls that the workers have written down; those without an end stay open. */
export const loadOperations = (directory: string): readonly Operation[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => operationsIn(readFileSync(join(directory, name), 'utf8')))

export const operationsIn = (text: string): readonly Operation[] => {
  const calls = new Map<string, Operation>()
  const lines = text.split('\n')
  // The last line is empty, or half written by a process that was killed.
  for (const line of lines.slice(0, -1)) {
    const { returned, outcome = 'open', ...call } = JSON.parse(line, revive) as Line
    calls.set(call.id, { ...call, returned, outcome })
  }
  return [...calls.values()]
}

const revive = (key: string, value: unknown): unknown =>
  key === 'lsn' && typeof value === 'string' ? BigInt(value.slice(0, -1)) : value
