import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ask } from '../../../src/nodes/ask.ts'
import type { Connections } from '../../../src/nodes/connections.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const released: unknown[] = []
const client = () => ({
  ref: () => {},
  unref: () => {},
  release: (error?: Error) => released.push(error),
})
const connections = (acquire: () => Promise<unknown>): Connections =>
  Object.assign(new EventEmitter(), { acquire }) as unknown as Connections
const at = (ms: number, value: unknown) => new Promise((resolve) => setTimeout(resolve, ms, value))

beforeEach(() => void released.splice(0))

test('an answer in time', async () => {
  const answer = ask(connections(async () => client()), 500, () => at(400, 42)) // prettier-ignore
  await vi.advanceTimersByTimeAsync(450)
  expect(await answer).toEqual({ kind: 'answered', value: 42 })
  expect(released).toEqual([undefined])
})

test('no answer: the connection goes', async () => {
  const answer = ask(connections(async () => client()), 500, () => at(5_000, 42)) // prettier-ignore
  await vi.advanceTimersByTimeAsync(600)
  expect(await answer).toEqual({ kind: 'late' })
  expect(released).toEqual([expect.any(Error)])
})

test('a connection that comes too late is kept for the next question', async () => {
  const asked = vi.fn(async () => 42)
  const answer = ask(connections(() => at(2_000, client())), 500, asked) // prettier-ignore
  await vi.advanceTimersByTimeAsync(600)
  expect(await answer).toEqual({ kind: 'late' })
  await vi.advanceTimersByTimeAsync(2_000)
  expect(released).toEqual([undefined])
  expect(asked).not.toHaveBeenCalled()
})

test('a failure tells whether there had been a connection', async () => {
  const error = new Error('gone')
  const refused = ask(connections(() => Promise.reject(error)), 500, async () => 42) // prettier-ignore
  expect(await refused).toEqual({ kind: 'failed', error, connected: false })
  const lost = ask(connections(async () => client()), 500, () => Promise.reject(error)) // prettier-ignore
  expect(await lost).toEqual({ kind: 'failed', error, connected: true })
  expect(released).toEqual([error])
})

test('a stall of the event loop costs a part of the time, however long it was', async () => {
  vi.useRealTimers()
  // Each step of the answer needs a turn of its own, as connecting does.
  const steps = async (): Promise<number> => {
    for (let step = 0; step < 10; step++) await new Promise((resolve) => setImmediate(resolve))
    return 42
  }
  const answer = ask(
    connections(async () => client()),
    100,
    async () => {
      const until = performance.now() + 400
      while (performance.now() < until);
      return steps()
    },
  )
  expect(await answer).toEqual({ kind: 'answered', value: 42 })
})
