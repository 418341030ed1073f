import { ClusterClosedError, ConfigError, NoReplicaAvailableError } from '../errors.ts'
import type { NodeProblem } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { classifyFailure, describeFailure, isCheckoutTimeout } from '../routing/failures.ts'
import { isAlive } from './ask-node.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import { Lease } from './lease.ts'
import { observe, UNOBSERVED } from './observe.ts'
import type { Report } from './observe.ts'
import { planRead } from './plan-read.ts'
import type { CallOptions, Routing } from './statement.ts'
import type { ObservedStatement } from './telemetry.ts'

/** One attempt at a read, on a connection that the attempt must give back when it succeeds. */
export interface Attempt {
  readonly lease: Lease
  readonly routing: Routing
  readonly deadline: Deadline
}

/** How reads go about failures. */
export interface ReadOptions extends CallOptions, ObservedStatement {
  /** Destroys the connection after any error, as `pg.Pool#query` does, instead of a broken one only. */
  readonly discardOnError?: boolean
  /** Publishes no `query` event: what is served is a connection, not a statement. */
  readonly silent?: boolean
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
  const deadline = new Deadline(options)
  const work = async (report: Report): Promise<T> => {
    const tried = new Set<Node>()
    const problems: NodeProblem[] = []
    let lastError: unknown
    const waking = core.use()
    if (waking !== undefined) await deadline.race(waking, () => {})
    for (;;) {
      if (core.state === 'closed') throw new ClusterClosedError()
      const planned = planRead(core, options, deadline, tried)
      const plan = planned instanceof Promise ? await planned : planned
      if (plan === undefined) throw exhausted(problems, lastError)
      const { node, routing } = plan
      report.routed(routing, plan.shadow?.name)
      try {
        const result = await attempt(node, routing, deadline, options, run)
        node.succeeded()
        plan.served()
        return result
      } catch (error) {
        // All connections are taken: overload, which is no fault of the node, unless it hangs.
        const hangs = isCheckoutTimeout(error) && !(await isAlive(node))
        const failure = hangs ? 'node' : classifyFailure(error)
        if (failure === 'statement') throw error
        if (failure !== 'conflict')
          node.failed(error as Error, failure === 'node' ? 'unreachable' : failure)
        lastError = error
        tried.add(node)
        await core.consistency.lost(node)
        if (failure === 'node') core.failover.suspect(node, error)
        const problem = describeFailure(error as Error)
        report.failed(node.name, problem)
        problems.push({ node: node.name, problem })
      } finally {
        plan.done()
      }
    }
  }
  return options.silent ? work(UNOBSERVED) : observe(core, options, work)
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
