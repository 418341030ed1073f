import type { Watch } from '../nodes/options.ts'
import { currentScope } from './context.ts'
import type { Core } from './core.ts'
import { isObserved, publish } from './events.ts'
import type { Routing } from './statement.ts'
import type { ObservedStatement, Operation } from './telemetry.ts'

/** Tells where a piece of work goes. */
export interface Report {
  /** It goes to this node now; the last report counts. */
  routed(routing: Routing, shadow?: string): void
  /** An attempt failed for a reason that says nothing about the statement. */
  failed(node: string, problem: string): void
}

/** Nobody wants to know. */
export const UNOBSERVED: Report = { routed: () => {}, failed: () => {} }

/** Runs a statement and publishes it, when anybody listens: as a `query` event, a span and a measurement. */
export const observe = <T>(
  core: Core,
  statement: ObservedStatement,
  work: (report: Report) => Promise<T>,
): Promise<T> => {
  const { telemetry } = core
  const run = async (operation?: Operation): Promise<T> => {
    const observation = new Observation(core, operation)
    try {
      const result = await work(observation)
      observation.end(undefined)
      return result
    } catch (error) {
      observation.end(error)
      throw error
    }
  }
  if (telemetry.isOn) return telemetry.statement(statement, run)
  return isObserved(core.events, 'query') ? run() : work(UNOBSERVED)
}

/** Publishes the statements of a connection that is lent out, which are sent where the connection leads. */
export const watchStatements =
  (core: Core, routing: Routing): Watch =>
  (text, send) => {
    const { telemetry } = core
    const run = (operation?: Operation): void => {
      const observation = new Observation(core, operation)
      observation.routed(routing)
      send((error) => observation.end(error))
    }
    if (telemetry.isOn) telemetry.statement({ text }, run)
    else if (isObserved(core.events, 'query')) run()
    else send(undefined)
  }

/** Runs a transaction or a snapshot in a span around those of its statements. */
export const observeScope = <T>(
  core: Core,
  kind: 'transaction' | 'snapshot',
  fn: () => PromiseLike<T>,
  run: (fn: () => PromiseLike<T>) => Promise<T>,
): Promise<T> => {
  const { telemetry } = core
  if (!telemetry.isOn) return run(fn)
  return telemetry.scope(kind, async (operation) => {
    const startedAt = performance.now()
    try {
      const result = await run(() => {
        const scope = currentScope(core)
        if (scope !== undefined) operation.routed(scope.facts.routing)
        return fn()
      })
      operation.end(performance.now() - startedAt)
      return result
    } catch (error) {
      operation.end(performance.now() - startedAt, error)
      throw error
    }
  })
}

/** A statement that is under way and that somebody wants to hear of. */
class Observation implements Report {
  readonly #core: Core
  readonly #operation: Operation | undefined
  readonly #startedAt = performance.now()
  #reported: { readonly routing: Routing; readonly shadow: string | undefined } | undefined

  constructor(core: Core, operation: Operation | undefined) {
    this.#core = core
    this.#operation = operation
  }

  routed(routing: Routing, shadow?: string): void {
    this.#reported = { routing, shadow }
    this.#operation?.routed(routing, shadow)
  }

  failed(node: string, problem: string): void {
    this.#operation?.failed(node, problem)
  }

  end(error: unknown): void {
    const durationMs = performance.now() - this.#startedAt
    this.#operation?.end(durationMs, error)
    // What never had a node to go to was no statement of any.
    if (this.#reported === undefined) return
    const { routing, shadow } = this.#reported
    const outcome = error === undefined ? 'ok' : 'error'
    publish(this.#core.events, 'query', { ...routing, durationMs, outcome, shadow })
  }
}
