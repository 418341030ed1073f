import type { ClientBase, PoolClient } from 'pg'
import type { Connections } from './connections.ts'
import { isRefusal } from './state.ts'

/** What has become of a question to a server. */
export type Answer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  /** The server, the network or the driver said no. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** No answer came in time. `heard`: something did, so that the server is only far away, or logging in takes long. */
  | { readonly kind: 'late'; readonly heard: boolean }

/** The parts in which a time limit is measured. */
const TICKS = 5

/**
 * Asks a server about itself within a time limit, on one of these connections. A connection that does
 * not answer is destroyed; one that is still being made is kept for the next question. One that turns out
 * to be lost may have been so for long, which says nothing about the server: another is made, once.
 *
 * @param unref - the question alone does not keep the process alive
 */
export const ask = async <T>(
  connections: Connections,
  timeoutMs: number,
  question: (client: ClientBase) => Promise<T>,
  { unref = false }: { readonly unref?: boolean } = {},
): Promise<Answer<T>> => {
  let client: PoolClient | undefined
  let over = false
  const { received } = connections
  const work = async (mayRepeat: boolean): Promise<Answer<T>> => {
    try {
      const taken = await connections.acquire()
      if (over) {
        taken.release()
        return LATE
      }
      client = taken
      const holder = taken as unknown as { ref(): void; unref(): void }
      if (unref) holder.unref()
      else holder.ref()
      const value = await question(taken)
      give()
      return { kind: 'answered', value }
    } catch (error) {
      const lost = client !== undefined && !isRefusal(error)
      give(error as Error)
      return lost && mayRepeat && !over ? work(false) : { kind: 'failed', error: error as Error }
    }
  }
  const give = (error?: Error): void => {
    const taken = client
    client = undefined
    taken?.release(error !== undefined && isRefusal(error) ? undefined : error)
  }
  const limit = afterTicks(timeoutMs, unref)
  const answer = await Promise.race([work(true), limit.over])
  limit.clear()
  over = true
  if (answer.kind !== 'late') return answer
  const heard = connections.received > received
  give(new Error('no answer in time'))
  return { kind: 'late', heard }
}

const LATE = { kind: 'late', heard: false } as const

/**
 * A time limit that counts time in which answers could be read: a stall of the event loop, however
 * long, is one tick, and never makes a server that has answered look dead.
 */
const afterTicks = (
  timeoutMs: number,
  unref: boolean,
): { readonly over: Promise<typeof LATE>; readonly clear: () => void } => {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<typeof LATE>((resolve) => {
    let left = TICKS
    const tick = (): void => {
      // What has come meanwhile is read before it counts.
      if (left-- > 0) {
        timer = setTimeout(tick, timeoutMs / TICKS)
        if (unref) timer.unref()
      } else setImmediate(resolve, LATE)
    }
    tick()
  })
  return { over, clear: () => clearTimeout(timer) }
}
