import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import pg from 'pg'
import type { QueryConfig, QueryResult } from 'pg'
import { ScopeNestingError, StrictReadModelError } from '../errors.ts'
import { readQueryArguments, valuesOf } from '../nodes/query-arguments.ts'
import type { SubmittableQuery } from '../nodes/query-arguments.ts'
import { controlOf } from '../sql/control.ts'
import type { Control } from '../sql/control.ts'
import { isFault } from '../routing/failures.ts'
import { hasControl, refusedOnReader } from '../sql/read-guard.ts'
import { firstWord, scanStatements } from '../sql/scan.ts'
import { innermostIn } from './context.ts'
import type { Core } from './core.ts'
import { observe } from './observe.ts'
import { isDeclarable, isPortal, submitPortal } from './portal.ts'
import { emptyResult, settleCallback } from './query-forms.ts'
import type { Nested, Scope } from './scope.ts'

const CONTROL_WORDS: ReadonlySet<string> = new Set([
  'BEGIN', 'START', 'COMMIT', 'END', 'ROLLBACK', 'ABORT', 'PREPARE',
]) // prettier-ignore

/** What the server says beside its answers. */
const FORWARDED = ['notice', 'notification'] as const

/**
 * The client that a pool lends inside a `transaction()` or `snapshot()`. It speaks on the scope's
 * connection; a BEGIN that a library sends through it opens a savepoint, and COMMIT and ROLLBACK
 * end that savepoint, so that nothing gets out of the scope.
 */
export class ScopedClient extends EventEmitter {
  readonly #core: Core
  readonly #home: Scope
  readonly #purpose: 'read' | 'write'
  #block: Nested | undefined
  #released = false
  readonly #forwards = {
    notice: (message: unknown): boolean => this.emit('notice', message),
    notification: (message: unknown): boolean => this.emit('notification', message),
  }
  /** What the next statement follows: statements of one client run in the order of their calls, also while a BEGIN waits. */
  #tail: Promise<unknown> | undefined

  constructor(core: Core, home: Scope, purpose: 'read' | 'write') {
    super()
    this.#core = core
    this.#home = home
    this.#purpose = purpose
    for (const event of FORWARDED) home.client.on(event as 'notice', this.#forwards[event])
  }

  query(...args: unknown[]): unknown {
    const call = readQueryArguments(args)
    if ('submittable' in call) {
      const { submittable } = call
      const connection = null
      this.#enqueue(() => this.#submit(submittable, call.text)).catch((error: Error) =>
        submittable.handleError(error, connection),
      )
      return submittable
    }
    const { config, callback } = call
    const result = observe(this.#core, { text: config.text }, (report) => {
      report.routed(this.#home.facts.routing)
      return this.#enqueue(() => this.#run(config))
    })
    if (callback === undefined) return result
    settleCallback(result, callback)
    return undefined
  }

  /** Gives the client back. A BEGIN that is still open is rolled back. */
  release(_error?: Error | boolean): void {
    if (this.#released)
      throw new Error('Release called on client which has already been released to the pool.')
    this.#released = true
    for (const event of FORWARDED) this.#home.client.removeListener(event, this.#forwards[event])
    this.#enqueue(async () => {
      const block = this.#block
      this.#block = undefined
      await block?.rollback()
    }).catch(() => {
      // The scope reports a broken connection with its own next statement.
    })
  }

  /** A pooled client is connected. */
  connect(callback?: (error: null, client: this) => void): Promise<this> | void {
    if (callback === undefined) return Promise.resolve(this)
    process.nextTick(callback, null, this)
  }

  escapeIdentifier(text: string): string {
    return pg.escapeIdentifier(text)
  }

  escapeLiteral(text: string): string {
    return pg.escapeLiteral(text)
  }

  getTypeParser(...args: Parameters<typeof pg.types.getTypeParser>): unknown {
    return this.#home.client.getTypeParser(...args)
  }

  setTypeParser(...args: Parameters<typeof pg.types.setTypeParser>): void {
    this.#home.client.setTypeParser(...args)
  }

  getTransactionStatus(): 'T' {
    return 'T'
  }

  /** The server's process, for `pg_cancel_backend()`. */
  get processID(): number | null {
    return (this.#home.client as unknown as { processID: number | null }).processID
  }

  /** The connection is the scope's: it is not this client's to end. */
  end(callback?: () => void): Promise<void> | void {
    if (!this.#released) this.release()
    if (callback === undefined) return Promise.resolve()
    process.nextTick(callback)
  }

  ref(): void {}
  unref(): void {}

  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    // Without delay when nothing is before it: among all clients of a scope, too, the order of calls counts.
    const result = this.#tail === undefined ? task() : this.#tail.then(AsyncResource.bind(task))
    const tail = result
      .catch(() => undefined)
      .then(() => {
        if (this.#tail === tail) this.#tail = undefined
      })
    this.#tail = tail
    return result
  }

  /** Where a statement belongs: into the BEGIN that is open here, or into a scope opened since inside it. */
  get #scope(): Scope {
    return innermostIn(this.#core, this.#block?.scope ?? this.#home)
  }

  async #run(config: QueryConfig): Promise<QueryResult> {
    const { text } = config
    if (!mayControl(text)) return this.#statement(config)
    // As outside a scope: a text of several statements may not touch the transaction on the reader.
    const refused = this.#purpose === 'read' ? refusedOnReader(text, config.values) : undefined
    if (refused !== undefined) throw new StrictReadModelError(refused)
    const spans = scanStatements(text)
    if (spans.length <= 1) {
      const control = controlOf(spans[0]?.words ?? [])
      return control.kind === 'none' ? this.#statement(config) : this.#control(control)
    }
    if (spans.every(({ words }) => controlOf(words).kind === 'none')) return this.#statement(config)
    // Several statements with a BEGIN or COMMIT among them: one by one, with one result each, as pg gives them.
    const results: QueryResult[] = []
    for (const { start, end, words } of spans) {
      const control = controlOf(words)
      const single = { ...config, text: text.slice(start, end) }
      results.push(
        control.kind === 'none' ? await this.#statement(single) : await this.#control(control),
      )
    }
    return results as unknown as QueryResult
  }

  #statement(config: QueryConfig): Promise<QueryResult> {
    return this.#purpose === 'read' ? this.#scope.read(config) : this.#scope.execute(config)
  }

  async #control(control: Exclude<Control, { kind: 'none' }>): Promise<QueryResult> {
    switch (control.kind) {
      case 'begin':
        // A second BEGIN is a warning in PostgreSQL and changes nothing.
        this.#block ??= await this.#begin(control.access === 'read only')
        return emptyResult('BEGIN')
      case 'commit':
      case 'rollback': {
        const command = await this.#endBlock(control.kind)
        if (control.chain) this.#block = await this.#begin(false)
        return emptyResult(command)
      }
      case 'prepare':
        throw new ScopeNestingError(
          'PREPARE TRANSACTION',
          this.#home.facts.kind,
          'Use a connection outside the scope for two-phase commit',
        )
      default:
        return control satisfies never
    }
  }

  #begin(readOnly: boolean): Promise<Nested> {
    return this.#scope.nest({ readOnly: readOnly || this.#purpose === 'read', byClient: true })
  }

  async #endBlock(kind: 'commit' | 'rollback'): Promise<'COMMIT' | 'ROLLBACK'> {
    const block = this.#block
    this.#block = undefined
    if (block === undefined) return kind === 'commit' ? 'COMMIT' : 'ROLLBACK'
    if (kind === 'rollback') {
      await block.rollback()
      return 'ROLLBACK'
    }
    try {
      await block.release()
      return 'COMMIT'
    } catch (error) {
      await block.rollback()
      // As PostgreSQL does: COMMIT of a failed transaction answers ROLLBACK.
      if (isFault(error, 'failed transaction')) return 'ROLLBACK'
      throw error
    }
  }

  async #submit(query: SubmittableQuery, text: string): Promise<void> {
    const scope = this.#scope
    const reads = this.#purpose === 'read'
    const refused = reads ? refusedOnReader(text, valuesOf(query)) : undefined
    if (refused !== undefined) throw new StrictReadModelError(refused)
    if (hasControl(text)) {
      throw reads
        ? new StrictReadModelError(firstWord(text))
        : new ScopeNestingError(
            firstWord(text),
            scope.facts.kind,
            'Send it as a text of its own, not as a query object',
          )
    }
    // A cursor would keep the connection to itself between two pages: it fetches from a DECLAREd one instead.
    if (isPortal(query) && (reads || isDeclarable(text))) {
      submitPortal(query, text, (config) =>
        reads ? this.#scope.read(config, { keep: true }) : this.#scope.execute(config),
      )
      return
    }
    if (!reads || scope.facts.readOnly) return scope.submit(query)
    const nested = await scope.nest({ readOnly: true })
    await nested.scope.submit(query)
    await nested.rollback()
  }
}

/** Whether a text can hold a BEGIN, COMMIT or the like: cheap, and right for nearly every text. */
const mayControl = (text: unknown): text is string =>
  typeof text === 'string' && (text.includes(';') || CONTROL_WORDS.has(firstWord(text)))
