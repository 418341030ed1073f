import {
  ClusterClosedError,
  ConfigError,
  NodeUnresponsiveError,
  NoReplicaAvailableError,
} from '../errors.ts'
import type { NodeProblem } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import type { Fault } from '../routing/fault.ts'
import { describeFailure, faultOf, NO_ANSWER } from '../routing/failures.ts'
import { isAlive } from './ask-node.ts'
import type { Core } from './core.ts'
import { Deadline } from './deadline.ts'
import { judge } from './judge.ts'
import { Lease } from './lease.ts'
import { leftOut } from './left-out.ts'
import { observe, UNOBSERVED } from './observe.ts'
import type { Report } from './observe.ts'
import { planRead } from './plan-read.ts'
import type { Plan } from './plan-read.ts'
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

/** What has failed about a read so far. */
interface Failures {
  readonly tried: Set<Node>
  readonly problems: NodeProblem[]
  /** Nodes that were not what they were taken for, and what that was. */
  readonly mistaken: Map<Node, Node['role']>
  conflicts: number
  last: unknown
  fault: Fault | undefined
}

/**
 * Serves a read: chooses a node, takes a connection for reads, lets the attempt run, and goes to
 * the next node when the failure says nothing about the statement. The only loop over nodes.
 *
 * @throws NoReplicaAvailableError when no node is left
 * @throws ConfigError when all replicas refuse us for good
 * @throws PoolExhaustedError when too many calls wait for connections already
 */
export const serveRead = <T>(
  core: Core,
  options: ReadOptions,
  run: (attempt: Attempt) => Promise<T>,
): Promise<T> => {
  core.assertOpen()
  const deadline = new Deadline(options)
  const work = async (report: Report): Promise<T> => {
    const failures: Failures = {
      tried: new Set(),
      problems: [],
      mistaken: new Map(),
      conflicts: 0,
      last: undefined,
      fault: undefined,
    }
    const waking = core.use()
    if (waking !== undefined) await deadline.race(waking, () => {})
    for (;;) {
      if (core.state === 'closed') throw new ClusterClosedError()
      const planned = planRead(core, options, deadline, failures.tried)
      const plan = planned instanceof Promise ? await planned : planned
      if (plan === undefined) {
        if (await deadline.race(reconsider(core, failures), () => {})) continue
        throw exhausted(core, options, failures)
      }
      const { node, routing } = plan
      if (
        isInDoubt(core, plan) &&
        !(await deadline.race(core.failover.vouchesFor(node), plan.done))
      ) {
        plan.done()
        failures.tried.add(node)
        failures.problems.push({ node: node.name, problem: core.failover.problemOf(node) })
        continue
      }
      report.routed(routing, plan.shadow?.name)
      const progress: Progress = { sent: false }
      // Retries earn no further retries.
      if (failures.tried.size === 0) {
        core.retries.began(core.responsivenessOf(node).inFlight + 1, performance.now())
      }
      try {
        const result = await attempt(core, node, { routing, deadline, options, run, progress })
        node.succeeded()
        if (plan.session !== undefined) plan.session.lastRead = node
        return result
      } catch (error) {
        await deadline.race(
          learn(core, node, failures, { error, sent: progress.sent, report }),
          () => {},
        )
      } finally {
        plan.done()
      }
    }
  }
  return options.silent ? work(UNOBSERVED) : observe(core, options, work)
}

/**
 * Whether a read goes to the primary for what only the primary is sure to show, while something speaks
 * against it: what a server of the past, or one of two, shows may be another history.
 */
const isInDoubt = ({ failover, primary }: Core, { node, routing, session }: Plan): boolean =>
  failover.trusted === undefined &&
  node === primary &&
  routing.reason !== 'using' &&
  (routing.reason === 'strong' || session !== undefined)

/** How far an attempt has come. */
interface Progress {
  /** The node may have received something of it. */
  sent: boolean
}

const attempt = <T>(
  core: Core,
  node: Node,
  {
    routing,
    deadline,
    options,
    run,
    progress,
  }: {
    readonly routing: Routing
    readonly deadline: Deadline
    readonly options: ReadOptions
    readonly run: (attempt: Attempt) => Promise<T>
    readonly progress: Progress
  },
): Promise<T> =>
  new Promise((resolve, reject) => {
    let lease: Lease | undefined
    let givenUp = false
    const responsiveness = core.responsivenessOf(node)
    const watched = responsiveness.begin((error) => {
      givenUp = true
      lease?.abandon()
      reject(error)
    })
    const work = async (): Promise<T> => {
      const taken = await Lease.take(node, 'read', deadline)
      if (givenUp) {
        taken.release()
        // Heard by nobody: the attempt has been rejected already.
        throw new NodeUnresponsiveError(node.name, 0)
      }
      lease = taken
      progress.sent = true
      watched.sends(taken.client)
      try {
        return await run({ lease: taken, routing, deadline })
      } catch (error) {
        if (options.discardOnError) taken.discard(error)
        else taken.release(error)
        throw error
      }
    }
    work()
      .then(resolve, reject)
      .finally(() => watched.end())
  })

/** Takes note of a failed attempt, unless its error is the caller's: then it is thrown. */
const learn = async (
  core: Core,
  node: Node,
  failures: Failures,
  {
    error,
    sent,
    report,
  }: { readonly error: unknown; readonly sent: boolean; readonly report: Report },
): Promise<void> => {
  let fault = faultOf(error, sent ? 'statement' : 'connect')
  // All connections are taken: overload, which is no fault of the node, unless it hangs.
  if (fault.name === 'no free connection in time' && !(await isAlive(node))) fault = NO_ANSWER
  judge(core, node, fault, error as Error, node.read)
  if (fault.follows.read === 'caller' || fault.follows.read === 'refused') throw error
  // What has reached a server costs it as much again when it is repeated.
  if (sent && !core.retries.take(performance.now())) throw error
  const { tried, problems } = failures
  failures.last = error
  failures.fault = fault
  tried.add(node)
  if (fault.name === 'another server') failures.mistaken.set(node, node.role)
  if (fault.follows.read === 'replica') tried.add(core.primary)
  if (fault.name === 'recovery conflict') failures.conflicts++
  // Another standby would refuse it for the same reason; a second conflict is likely to be followed by a third.
  if (fault.follows.read === 'primary' || failures.conflicts > 1) {
    for (const replica of core.replicas) tried.add(replica)
  }
  await core.consistency.sight.lost(node)
  const problem = describeFailure(error as Error)
  report.failed(node.name, problem)
  problems.push({ node: node.name, problem })
}

/**
 * When nothing is left: whether a node that was not what it was taken for is what it should be by now.
 * A process that starts after a failover takes the nodes for what its configuration says.
 */
const reconsider = async (core: Core, { tried, mistaken }: Failures): Promise<boolean> => {
  if (mistaken.size === 0) return false
  await core.failover.look()
  const known = [...mistaken].filter(([node, role]) => node.role !== role)
  mistaken.clear()
  for (const [node] of known) tried.delete(node)
  return known.length > 0
}

/** When nothing is left: a mistake in the configuration is called by its name. */
const exhausted = (core: Core, options: ReadOptions, failures: Failures): Error => {
  const { problems, last, fault } = failures
  // These say it themselves: no node is at fault.
  if (fault?.follows.read === 'replica' || fault?.follows.read === 'primary') return last as Error
  if (fault?.follows.node === 'disable') {
    return new ConfigError(
      problems.map(({ node, problem }) => ({
        path: node,
        message: `the server refused the connection (${problem})`,
      })),
      { cause: last },
    )
  }
  return new NoReplicaAvailableError([...problems, ...leftOut(core, options, problems)], {
    cause: last,
  })
}
