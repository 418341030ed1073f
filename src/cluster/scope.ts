import { randomBytes } from 'node:crypto'
import type { PoolClient, QueryConfig, QueryResult } from 'pg'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import { ScopeEndedError, StrictReadModelError } from '../errors.ts'
import { cancelUntil } from '../nodes/cancel.ts'
import { refusedByServer } from '../nodes/client.ts'
import type { NodeClient } from '../nodes/client.ts'
import { whenEnded } from '../nodes/query-arguments.ts'
import type { SubmittableQuery } from '../nodes/query-arguments.ts'
import { refusedInScope } from '../sql/read-guard.ts'
import type { Deadline } from './deadline.ts'
import { Gate } from './gate.ts'
import type { RoutedResult, Routing } from './statement.ts'

/** The isolation levels of PostgreSQL that differ from one another. */
export const ISOLATIONS = ['read committed', 'repeatable read', 'serializable'] as const
/** An isolation level of PostgreSQL. */
export type Isolation = (typeof ISOLATIONS)[number]

/** What a scope is, for its statements and for what may be nested in it. */
export interface ScopeFacts {
  readonly kind: 'transaction' | 'snapshot'
  readonly routing: Routing
  readonly readOnly: boolean
  readonly isolation: Isolation | undefined
}

/** A nested transaction that the caller ends. */
export interface Nested {
  readonly scope: Scope
  /** Keeps what it did. Rejects when a statement of it had failed; then it must be rolled back. */
  release(): Promise<void>
  rollback(): Promise<void>
}

/** How a read runs. */
export interface ReadOptions {
  readonly deadline?: Deadline | undefined
  /** What it opens stays open: a cursor. */
  readonly keep?: boolean
}

/** What the scopes on one connection have in common. */
interface Shared {
  /** Numbers the savepoints. */
  next: number
  /** Whose turn it is. */
  turn: Turn | undefined
  /** The transaction has looked at the data: it has its snapshot. */
  hasSnapshot: boolean
  /** What may be cancelled has been sent and not been answered: settles with it, never rejects. */
  running: Promise<void> | undefined
  /** A cancel that is on its way, and must not hit the statement after the one that it means. */
  cancelling: Promise<void>
}

interface Turn {
  /** Nobody wants its answer any more: what it has not sent yet is not sent. */
  givenUp: boolean
}

const NOTHING = (): void => {}

/**
 * One transaction on one connection. Everything inside a `transaction()` or `snapshot()` runs
 * through it, one statement at a time; a nested scope is a savepoint that keeps the others out
 * until it ends.
 */
export class Scope {
  readonly facts: ScopeFacts
  /** The connection; statements go through the methods below only. */
  readonly client: PoolClient
  readonly #parent: Scope | undefined
  readonly #gate = new Gate(RUNTIME_LIMITS.scopeBusyMs)
  readonly #shared: Shared
  #ended = false

  constructor(client: PoolClient, facts: ScopeFacts, parent?: Scope) {
    this.client = client
    this.facts = facts
    this.#parent = parent
    this.#shared =
      parent === undefined
        ? {
            next: 1,
            turn: undefined,
            hasSnapshot: false,
            running: undefined,
            cancelling: Promise.resolve(),
          }
        : parent.#shared
  }

  /** Whether this scope or one around it has ended. */
  get hasEnded(): boolean {
    return this.#ended || (this.#parent?.hasEnded ?? false)
  }

  /** Whether `scope` is this one or inside it. */
  contains(scope: Scope | undefined): boolean {
    return scope !== undefined && (scope === this || this.contains(scope.#parent))
  }

  /** Runs a statement that may write. */
  execute(config: QueryConfig, deadline?: Deadline): Promise<RoutedResult> {
    const query = (): Promise<QueryResult> => this.client.query(config)
    return this.#inTurn(async () => this.#routed(await this.#interruptible(query)), deadline)
  }

  /**
   * Runs a statement that may not write, nor end the transaction. In a read-write transaction it runs
   * under a savepoint with `transaction_read_only` on, so that the server refuses what it would
   * refuse on a replica; the transaction goes on afterwards, with nothing of it left behind.
   */
  async read(
    config: QueryConfig,
    { deadline, keep = false }: ReadOptions = {},
  ): Promise<RoutedResult> {
    const refused = refusedInScope(config.text, config.values, this.#root.facts.readOnly)
    if (refused !== undefined) throw new StrictReadModelError(refused)
    return this.#inTurn(async () => {
      const savepoint = this.facts.readOnly ? undefined : this.#savepoint()
      try {
        if (savepoint !== undefined) await this.client.query(this.#readOnlySavepoint(savepoint))
        const result = await this.#interruptible(() => this.client.query(config))
        if (savepoint !== undefined) {
          await this.client.query(keep ? `RELEASE SAVEPOINT ${savepoint}` : rollbackTo(savepoint))
        }
        return this.#routed(result)
      } catch (error) {
        // The failure that counts is the read's; if this one fails too, the connection is gone.
        if (savepoint !== undefined)
          await this.client.query(rollbackTo(savepoint)).catch(() => undefined)
        throw refusedByServer(error as Error, config.text)
      }
    }, deadline)
  }

  /** Runs a query object of `pg` to its end. It may not touch the transaction: see `hasControl`. */
  submit(query: SubmittableQuery): Promise<void> {
    const ended = (): Promise<void> =>
      new Promise((resolve) => {
        whenEnded(query, resolve)
        this.client.query(query)
      })
    return this.#inTurn(() => this.#interruptible(ended))
  }

  /** Opens a nested transaction that keeps all other statements of this scope waiting until it ends. */
  async nest(options: {
    readonly readOnly: boolean
    readonly byClient?: boolean
  }): Promise<Nested> {
    this.#assertLive()
    const leave = await this.#gate.enter()
    const savepoint = this.#savepoint()
    const readOnly = this.facts.readOnly || options.readOnly
    const open =
      readOnly && !this.facts.readOnly
        ? this.#readOnlySavepoint(savepoint)
        : `SAVEPOINT ${savepoint}`
    try {
      this.#assertLive()
      await this.#send(() => this.client.query(open))
    } catch (error) {
      leave()
      throw error
    }
    if (options.byClient) this.#gate.heldByClient()
    const scope = new Scope(this.client, { ...this.facts, readOnly }, this)
    const end = (sql: string): Promise<void> => scope.end(sql).then(() => undefined)
    return {
      scope,
      release: () => end(`RELEASE SAVEPOINT ${savepoint}`).then(leave),
      rollback: () => end(rollbackTo(savepoint)).finally(leave),
    }
  }

  /**
   * Ends the scope with a last statement. What was sent before is awaited, what still waits for its
   * turn is refused.
   */
  end(sql: string): Promise<QueryResult> {
    this.#ended = true
    return this.#gate.run(() => this.#send(() => this.client.query(sql)))
  }

  /** Lets nothing more through, and cancels the statement that is running. */
  abandon(): void {
    this.#ended = true
    this.#cancel()
  }

  /** Runs a task when its turn has come, unless the scope has ended or the deadline is over by then. */
  async #inTurn<T>(task: () => Promise<T>, deadline?: Deadline): Promise<T> {
    this.#assertLive()
    let state: 'waiting' | 'running' | 'given up' = 'waiting'
    const turn = this.#gate.run(() => {
      this.#assertLive()
      if (state === 'given up') throw new ScopeEndedError(this.facts.kind)
      state = 'running'
      return this.#send(task)
    })
    if (deadline === undefined) return turn
    return deadline.race(turn, () => {
      if (state === 'running') this.#cancel()
      state = 'given up'
    })
  }

  async #send<T>(task: () => Promise<T>): Promise<T> {
    this.#parent?.progress()
    const shared = this.#shared
    await shared.cancelling
    shared.turn = { givenUp: false }
    try {
      return await task()
    } finally {
      shared.turn = undefined
    }
  }

  /** Sends what may be cancelled. What is sent after it is safe from a cancel that comes too late. */
  async #interruptible<T>(query: () => Promise<T>): Promise<T> {
    const shared = this.#shared
    if (shared.turn?.givenUp) throw new ScopeEndedError(this.facts.kind)
    const sent = query()
    const over = sent.then(NOTHING, NOTHING)
    shared.running = over
    try {
      return await sent
    } finally {
      shared.running = undefined
      await shared.cancelling
    }
  }

  #cancel(): void {
    const { turn, running } = this.#shared
    if (turn !== undefined) turn.givenUp = true
    if (running !== undefined)
      this.#shared.cancelling = cancelUntil(this.client as unknown as NodeClient, running)
  }

  /** Something inside has been sent: whoever waits for this scope waits for good reason. */
  progress(): void {
    this.#gate.progress()
    this.#parent?.progress()
  }

  get #root(): Scope {
    return this.#parent === undefined ? this : this.#parent.#root
  }

  /**
   * PostgreSQL restores the access mode of the outer transaction when the savepoint is released. The
   * transaction has its snapshot before: one that takes it while it is read-only counts as read-only for
   * SERIALIZABLE to its end, and conflicts of its later writes would not be found.
   */
  #readOnlySavepoint(name: string): string {
    const snapshot = this.#shared.hasSnapshot ? '' : 'SELECT; '
    this.#shared.hasSnapshot = true
    return `SAVEPOINT ${name}; ${snapshot}SET LOCAL transaction_read_only = on`
  }

  #savepoint(): string {
    return `${SAVEPOINT_PREFIX}_${this.#shared.next++}`
  }

  #routed(result: QueryResult): RoutedResult {
    return Object.assign(result, { routing: this.facts.routing })
  }

  #assertLive(): void {
    if (this.hasEnded) throw new ScopeEndedError(this.facts.kind)
  }
}

/** Not to be guessed: a text that could name a savepoint could release it, and its read-only state with it. */
const SAVEPOINT_PREFIX = `segregato_${randomBytes(6).toString('hex')}`

const rollbackTo = (name: string): string =>
  `ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`
