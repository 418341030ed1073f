import type { Knex } from 'knex'

import { knexPostgres } from '../config/load-once.ts'
import { InvalidArgumentError, SegregatoError, StrictReadModelError } from '../errors.ts'

/** A select that a builder compiled to, with `$1`-style placeholders. */
export interface CompiledSelect {
  readonly text: string
  readonly values: readonly unknown[]
  /** What Knex would give: all rows, the first one, or one column of all. */
  readonly shape: 'rows' | 'first' | { readonly pluck: string }
}

/** Methods by which a builder would write, lock, or name a table to write into. */
const REFUSED = [
  'decrement',
  'del',
  'delete',
  'forKeyShare',
  'forNoKeyUpdate',
  'forShare',
  'forUpdate',
  'increment',
  'insert',
  'into',
  'noWait',
  'onConflict',
  'returning',
  'skipLocked',
  'truncate',
  'update',
  'updateFrom',
  'upsert',
] as const

/** What Knex calls the kinds of statements that read rows. */
const READING = new Set(['select', 'first', 'pluck'])

/** The parts of Knex's PostgreSQL dialect that are used here; its types leave them out. */
interface Dialect {
  queryBuilder(): Knex.QueryBuilder
  queryCompiler(builder: unknown, bindings?: unknown): { toSQL(method?: string): Compiled }
  runner(): never
}

interface Compiled {
  readonly method: string
  readonly pluck?: string
  toNative(): { readonly sql: string; readonly bindings: readonly unknown[] }
}

type Class<Instance> = new (...args: never[]) => Instance

interface Guard {
  readonly dialect: Dialect
  readonly isBuilder: (value: unknown) => boolean
}

let guard: Guard | undefined

/** A dialect without connections. Its builders refuse to write, and so does its compiler, at any depth. */
const load = (): Guard => {
  // Knex is large, and a program that never calls query() does not need it.
  const Postgres = knexPostgres() as Class<Dialect> & (new (config: object) => Dialect)
  const PostgresBuilder = new Postgres({ client: 'pg' }).queryBuilder()
    .constructor as Class<Knex.QueryBuilder>
  // The class that all builders descend from, those of an application's own Knex included.
  const Builder = Object.getPrototypeOf(PostgresBuilder) as Class<Knex.QueryBuilder>

  const GuardedBuilder = class extends PostgresBuilder {}
  for (const name of REFUSED) {
    const value = (): never => {
      throw new StrictReadModelError(name)
    }
    Object.defineProperty(GuardedBuilder.prototype, name, { value })
  }

  guardMethods(PostgresBuilder.prototype, GuardedBuilder.prototype)

  const GuardedDialect = class extends Postgres {
    override queryBuilder(): Knex.QueryBuilder {
      return new GuardedBuilder(this as never)
    }
    /** Every builder comes through here when it is compiled, nested ones and those of another Knex too. */
    override queryCompiler(
      builder: unknown,
      bindings?: unknown,
    ): ReturnType<Dialect['queryCompiler']> {
      refuseWrites(builder as Inner)
      return super.queryCompiler(builder, bindings)
    }
    override runner(): never {
      throw new InvalidArgumentError(
        'The builder given by query() is not awaited: return it, query() runs it',
      )
    }
  }
  return {
    // What Knex would print as an error it also throws.
    dialect: new GuardedDialect({ client: 'pg', log: { error: () => undefined } } as never),
    isBuilder: (value) => value instanceof Builder,
  }
}

/** Errors that functions of the caller threw while Knex ran them: they are passed on as they are. */
const ofCaller = new WeakSet<object>()

/** The error for what Knex threw. */
const translate = (cause: unknown): unknown => {
  if (cause instanceof SegregatoError || !(cause instanceof Error) || ofCaller.has(cause))
    return cause
  return new InvalidArgumentError(`query() could not be compiled: ${cause.message}`, { cause })
}

/** The same argument; errors of functions in it are known as the caller's. */
const callersOwn = (argument: unknown): unknown => {
  if (Array.isArray(argument) && argument.some((each) => typeof each === 'function'))
    return argument.map(callersOwn)
  // An application's Knex, and a transaction of it, are functions too: they have a client.
  if (typeof argument !== 'function' || 'client' in argument) return argument
  return function (this: unknown, ...args: unknown[]): unknown {
    try {
      return Reflect.apply(argument, this, args) as unknown
    } catch (error) {
      if (error instanceof Error) ofCaller.add(error)
      throw error
    }
  }
}

/** Defines every method of a builder that the guarded one does not refuse: what Knex throws is translated. */
const guardMethods = (builder: object, guarded: object): void => {
  for (let from = builder; 'select' in from; from = Object.getPrototypeOf(from) as object) {
    for (const [name, { value: method }] of Object.entries(
      Object.getOwnPropertyDescriptors(from),
    )) {
      if (typeof method !== 'function' || /^_|^constructor$/.test(name)) continue
      if (Object.hasOwn(guarded, name)) continue
      const value = function (this: unknown, ...args: unknown[]): unknown {
        try {
          return Reflect.apply<unknown, unknown[], unknown>(
            method as () => unknown,
            this,
            args.map(callersOwn),
          )
        } catch (error) {
          throw translate(error)
        }
      }
      Object.defineProperty(guarded, name, { value })
    }
  }
}

/** What a builder keeps inside. */
interface Inner {
  readonly _method?: string
  readonly _single?: { readonly lock?: string; readonly counter?: object }
}

const refuseWrites = ({ _method: method = 'select', _single: single }: Inner): void => {
  if (!READING.has(method)) throw new StrictReadModelError(method === 'del' ? 'delete' : method)
  if (single?.lock !== undefined) throw new StrictReadModelError(single.lock)
  if (single?.counter !== undefined) throw new StrictReadModelError('increment')
}

/**
 * Compiles what `build` makes of a fresh builder. Nothing is sent.
 *
 * @param prepare - sets what the builder starts with, such as its table.
 * @throws StrictReadModelError when it would write or lock, at any depth.
 * @throws InvalidArgumentError when it is no select, or Knex refuses it. What `build` itself throws passes.
 */
export const compileSelect = (
  prepare: (builder: Knex.QueryBuilder) => void,
  build: (builder: Knex.QueryBuilder) => unknown,
): CompiledSelect => {
  const { dialect, isBuilder } = (guard ??= load())
  const builder = dialect.queryBuilder()
  prepare(builder)
  const built = build(builder) ?? builder
  if (!isBuilder(built)) {
    if (built instanceof Promise) built.catch(() => undefined)
    throw new InvalidArgumentError(
      'The function given to query() must return its builder, or nothing, and must not be async',
    )
  }
  return compile(dialect, built)
}

const compile = (dialect: Dialect, builder: unknown): CompiledSelect => {
  try {
    const compiled = dialect.queryCompiler(builder).toSQL((builder as Inner)._method ?? 'select')
    const { sql: text, bindings: values } = compiled.toNative()
    const shape =
      compiled.pluck === undefined
        ? compiled.method === 'first'
          ? 'first'
          : 'rows'
        : { pluck: compiled.pluck }
    return { text, values, shape }
  } catch (error) {
    throw translate(error)
  }
}
