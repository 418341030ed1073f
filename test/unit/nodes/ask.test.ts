import { EventEmitter } from 'node:events'
import { DatabaseError } from 'pg'
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
  expect(await answer).toEqual({ kind: 'late', heard: false })
  expect(released).toEqual([expect.any(Error)])
})

test('a connection that comes too late is kept for the next question', async () => {
  const asked = vi.fn(async () => 42)
  const answer = ask(connections(() => at(2_000, client())), 500, asked) // prettier-ignore
  await vi.advanceTimersByTimeAsync(600)
  expect(await answer).toEqual({ kind: 'late', heard: false })
  await vi.advanceTimersByTimeAsync(2_000)
  expect(released).toEqual([undefined])
  expect(asked).not.toHaveBeenCalled()
})

test('a connection that turns out to be lost is made once more, a server that refuses is not asked again', async () => {
  const error = new Error('gone')
  const acquire = vi.fn(async () => client())
  const question = vi.fn(() => Promise.reject(error))
  const failed = { kind: 'failed', error }
  expect(await ask(connections(acquire), 500, question)).toEqual(failed)
  expect(released).toEqual([error, error])

  const once = vi.fn(async () => 42).mockRejectedValueOnce(error)
  expect(await ask(connections(acquire), 500, once)).toEqual({ kind: 'answered', value: 42 })

  const refused = vi.fn(() => Promise.reject(error))
  expect(await ask(connections(refused), 500, once)).toEqual(failed)
  const denied = new DatabaseError('permission denied', 0, 'error')
  denied.severity = 'ERROR'
  const denying = vi.fn(() => Promise.reject(denied))
  expect(await ask(connections(acquire), 500, denying)).toEqual({ kind: 'failed', error: denied })
  expect([question, once, refused, denying].map(({ mock }) => mock.calls.length)).toEqual([
    2, 2, 1, 1,
  ])
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
