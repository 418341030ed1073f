import { EventEmitter } from 'node:events'
import type pg from 'pg'
import { Client } from 'pg'

/**
 * What the pool contract is made of. A check does something to a pool and returns what it saw as
 * plain data; the suite compares that with the literal facts of `pg.Pool` and with what another
 * pool, opened with the same options on the same server, has shown.
 */

/** Where one server is, and who asks. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** A pool that is open, and the end of everything behind it. */
export interface OpenPool {
  readonly pool: pg.Pool
  close(): Promise<void>
}

/** A kind of pool that the contract is asked of. */
export interface Subject {
  readonly name: string
  /** The server that the pool's connections lead to. */
  readonly server: Address
  /** Opens a pool on `server` with these options; `host`, `port` and `database` in them win. */
  open(options: pg.PoolConfig): Promise<OpenPool>
}

/** The pools of a cluster that differ on purpose, with the reason, instead of showing what `pg.Pool` shows. */
export type PoolName = 'writer' | 'reader'
export interface Difference {
  readonly why: string
  readonly observed: unknown
}

export interface Check {
  readonly name: string
  readonly run: (subject: Subject) => Promise<unknown>
  /** What `pg.Pool` shows, in full. */
  readonly expected: unknown
  readonly differences: Partial<Record<PoolName, Difference>>
}

export const check = (
  name: string,
  run: (subject: Subject) => Promise<unknown>,
  expected: unknown,
  differences: Partial<Record<PoolName, Difference>> = {},
): Check => ({ name, run, expected, differences })

/** A difference that writer and reader share. */
export const bothPools = (why: string, observed: unknown): Record<PoolName, Difference> => ({
  writer: { why, observed },
  reader: { why, observed },
})

/** Opens a pool, lends it, and closes it whatever happens. */
export const withPool = async <T>(
  subject: Subject,
  options: pg.PoolConfig,
  use: (pool: pg.Pool) => Promise<T>,
): Promise<T> => {
  const opened = await subject.open(options)
  const { pool } = opened
  // What checks leave unobserved (a severed idle connection, say) must not end the test run.
  pool.on('error', () => {})
  try {
    // Cloned, since recorded events go on until the pool is closed; a thing that is not data is an error here.
    return structuredClone(await use(pool))
  } finally {
    // A client that a failed check has not released must not hide that failure behind a pool that never ends.
    await Promise.race([opened.close(), pause(5_000)])
  }
}

export const counts = (pool: pg.Pool): string =>
  `${pool.totalCount} open, ${pool.idleCount} idle, ${pool.waitingCount} waiting`

/** An error as data: its class, its words, its code, and the error behind it. */
export const describeError = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error
  const { code, severity } = error as Partial<pg.DatabaseError>
  return {
    type: error.constructor.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(severity === undefined ? {} : { severity }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  }
}

/** How work ended: what it resolved to, or why it did not. */
export const outcome = async <T>(
  work: Promise<T>,
  pick: (value: T) => unknown = (value) => value ?? null,
): Promise<unknown> => {
  try {
    return { resolved: pick(await work) }
  } catch (error) {
    return { rejected: describeError(error) }
  }
}

/** The parts of a result that callers read; what a pool adds to it is its own business. */
export const facts = (result: pg.QueryResult | pg.QueryArrayResult): unknown => ({
  command: result.command,
  rowCount: result.rowCount,
  rows: result.rows,
  fields: result.fields.map(({ name }) => name),
})

/** Gives each object or process number a letter, in the order in which they show up. */
export class Letters {
  readonly #known = new Map<unknown, string>()

  of(thing: unknown): string {
    const known = this.#known.get(thing)
    if (known !== undefined) return known
    const letter = String.fromCodePoint(65 + this.#known.size)
    this.#known.set(thing, letter)
    return letter
  }
}

/** Writes down the events of a pool: `connect A`, `release A`, `error 57P01 from A`, … */
export class Events {
  readonly seen: string[] = []
  readonly letters: Letters

  constructor(pool: pg.Pool, letters = new Letters()) {
    this.letters = letters
    pool.on('connect', (client) => this.seen.push(`connect ${letters.of(client)}`))
    pool.on('acquire', (client) => this.seen.push(`acquire ${letters.of(client)}`))
    pool.on('remove', (client) => this.seen.push(`remove ${letters.of(client)}`))
    // After pool.query the error is null, after release() undefined: both mean that there was none.
    pool.on('release', (error: unknown, client) => {
      const reason = error === undefined || error === null ? '' : ` with ${short(error)}`
      this.seen.push(`release ${letters.of(client)}${reason}`)
    })
    pool.on('error', (error, client) => {
      this.seen.push(`error ${short(error)} from ${letters.of(client)}`)
    })
  }

  /** Waits for an event and returns everything up to now. */
  async until(event: string): Promise<string[]> {
    await until(event, () => this.seen.includes(event))
    return [...this.seen]
  }
}

/** An error in one word: its code if it has one. */
export const short = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return (error as { code?: string }).code ?? error.message
}

/** Waits until something is so. The limit only ends a run that would never pass. */
export const until = async (
  what: string,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> => {
  const limit = Date.now() + 10_000
  while (!(await isSo())) {
    if (Date.now() > limit) throw new Error(`Never happened: ${what}`)
    await pause(5)
  }
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))

/** The arguments that a callback was called with, and what the call itself returned. */
export const viaCallback = (
  start: (callback: (...given: unknown[]) => void) => unknown,
): Promise<{ returned: unknown; given: unknown[] }> =>
  new Promise((resolve) => {
    const returned = start((...given) => setImmediate(() => resolve({ returned, given })))
  })

/** What a callback was told. Beside an error `pg` sometimes gives a do-nothing `release`, sometimes not. */
export const told = ([error, value]: readonly unknown[]): unknown => ({
  error: error === undefined || error === null ? 'none' : describeError(error),
  value: value === undefined ? 'none' : 'given',
})

/** Takes a client and gives it back at once: the outcome is whether there was one. */
export const lentOnce = (pool: pg.Pool): Promise<unknown> =>
  outcome(pool.connect(), (client) => {
    client.release()
    return 'a client'
  })

/** The same with callbacks. */
export const lentOnceViaCallback = async (pool: pg.Pool): Promise<unknown> => {
  const { given } = await viaCallback((done) => loosely(pool, 'connect')(done))
  const [error, client, release] = given as [unknown, unknown, (() => void) | undefined]
  if (client !== undefined) release?.()
  return told([error, client])
}

/** Call forms that the types of `pg` do not know, or only one overload at a time. */
export type Loose = (...given: unknown[]) => unknown
export const loosely = (
  target: pg.Pool | pg.PoolClient,
  method: 'query' | 'connect' | 'end',
): Loose => ((target as unknown as Record<string, Loose>)[method] as Loose).bind(target)

/** The server process behind a pool's next connection. */
export const backendOf = async (queryable: pg.Pool | pg.PoolClient): Promise<number> => {
  const { rows } = await queryable.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const [row] = rows
  if (row === undefined) throw new Error('pg_backend_pid() gave no row')
  return row.pid
}

/** Lends a connection to the pool's server that is none of the pool's. */
const besidePool = async <T>(
  { server }: Subject,
  use: (client: Client) => Promise<T>,
): Promise<T> => {
  const client = new Client({ ...server })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/** Runs one statement on a server beside the pool. */
export const beside = (
  subject: Subject,
  text: string,
  values: readonly unknown[] = [],
): Promise<pg.QueryResult> => besidePool(subject, (client) => client.query(text, [...values]))

/** Ends a server process and waits until it is gone. */
export const terminate = async (subject: Subject, pid: number): Promise<void> => {
  await beside(subject, 'SELECT pg_terminate_backend($1, 5000)', [pid])
}

let marks = 0
/** A comment that tells one statement from all others on the server, those of cut connections included. */
export const mark = (): string => `/* mark ${process.pid}.${marks++} */`

/** Waits until a server process runs a statement that contains `text`. */
export const running = (subject: Subject, text: string): Promise<number> =>
  besidePool(subject, async (client) => {
    let found: number | undefined
    await until(`a server process runs ${text}`, async () => {
      const { rows } = await client.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE state = 'active' AND datname = current_database()
         AND pid <> pg_backend_pid() AND position($1 in query) > 0`,
        [text],
      )
      found = rows[0]?.pid
      return found !== undefined
    })
    return found as unknown as number
  })

/** Whether an object is an event emitter to its user. */
export const isEmitter = (value: unknown): boolean => value instanceof EventEmitter
