import {
  ClusterClosedError,
  ConfigError,
  InvalidArgumentError,
  NoReplicaAvailableError,
} from '../errors.ts'
import type { NodeProblem } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { classifyFailure } from '../routing/failures.ts'
import type { Choice } from '../routing/router.ts'
import { currentTarget } from './context.ts'
import { describeFailure } from './core.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import { Lease } from './lease.ts'
import { observe } from './observe.ts'
import type { CallOptions, Routing } from './statement.ts'

/** One attempt at a read, on a connection that the attempt must give back when it succeeds. */
export interface Attempt {
  readonly lease: Lease
  readonly routing: Routing
  readonly deadline: Deadline
}

/** How reads go about failures. */
export interface ReadOptions extends CallOptions {
  /** Destroys the connection after any error, as `pg.Pool#query` does, instead of a broken one only. */
  readonly discardOnError?: boolean
}

/**
 * Serves a read: chooses a node, takes a connection for reads, lets the attempt run, and goes to
 * the next node when the failure says nothing about the statement. The only loop over nodes.
 *
 * @throws NoReplicaAvailableError when no node is left
 * @throws ConfigError when all replicas refuse us for good
 */
export const serveRead = <T>(
  core: Core,
  options: ReadOptions,
  run: (attempt: Attempt) => Promise<T>,
): Promise<T> => {
  core.assertOpen()
  checkMaxLag(options.maxLagMs)
  const deadline = new Deadline(options)
  return observe(core, async (report) => {
    const target = options.using ?? currentTarget(core)
    const only = target === undefined ? undefined : core.nodesFor(target)
    const maxLagMs = options.maxLagMs ?? core.config.settings.maxLagMs
    const accepts =
      maxLagMs === undefined ? undefined : (node: Node) => core.freshness.isWithin(node, maxLagMs)
    if (maxLagMs !== undefined) await deadline.race(core.freshness.update(maxLagMs), () => {})
    const tried = new Set<Node>()
    const problems: NodeProblem[] = []
    let lastError: unknown
    for (;;) {
      if (core.state === 'closed') throw new ClusterClosedError()
      if (only === undefined) core.assertNotMisconfigured()
      const choice = core.router.choose({
        now: performance.now(),
        tried,
        ...(only && { only }),
        ...(accepts && { accepts }),
      })
      if (choice === undefined) throw exhausted(problems, lastError)
      const { node } = choice
      const routing = routingOf(core, choice)
      report(routing, choice.shadow?.name)
      try {
        const result = await attempt(node, routing, deadline, options, run)
        node.succeeded()
        return result
      } catch (error) {
        const failure = classifyFailure(error)
        if (failure === 'statement') throw error
        if (failure !== 'conflict')
          node.failed(error as Error, failure === 'node' ? 'unreachable' : failure)
        lastError = error
        tried.add(node)
        problems.push({ node: node.name, problem: describeFailure(error as Error) })
      }
    }
  })
}

const attempt = async <T>(
  node: Node,
  routing: Routing,
  deadline: Deadline,
  { discardOnError }: ReadOptions,
  run: (attempt: Attempt) => Promise<T>,
): Promise<T> => {
  const lease = await Lease.take(node.read, deadline)
  try {
    return await run({ lease, routing, deadline })
  } catch (error) {
    if (discardOnError) lease.discard(error)
    else lease.release(error)
    throw error
  }
}

const routingOf = (core: Core, { node, reason }: Choice<Node>): Routing => ({
  node: node.name,
  role: node.role,
  reason,
  lagMs: core.freshness.lagMs(node),
  waitedMs: 0,
})

const checkMaxLag = (maxLagMs: number | undefined): void => {
  if (maxLagMs === undefined || maxLagMs >= 0) return
  throw new InvalidArgumentError(`maxLagMs must be 0 or more milliseconds, not ${maxLagMs}`)
}

/** When nothing is left: a mistake in the configuration is called by its name. */
const exhausted = (problems: readonly NodeProblem[], lastError: unknown): Error => {
  if (lastError !== undefined && classifyFailure(lastError) === 'misconfigured') {
    return new ConfigError(
      problems.map(({ node, problem }) => ({
        path: node,
        message: `the server refused the connection (${problem})`,
      })),
      { cause: lastError },
    )
  }
  return new NoReplicaAvailableError(problems, { cause: lastError })
}
