import { CONSISTENCIES } from '../config/types.ts'
import { InvalidArgumentError, StaleReplicasError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import type { Choice } from '../routing/router.ts'
import type { Demand } from './consistency.ts'
import { currentTarget } from './context.ts'
import type { Core } from './core.ts'
import type { Deadline } from './deadline.ts'
import { publish } from './events.ts'
import type { CallOptions, RouteReason, Routing } from './statement.ts'

/** Where one attempt at a read goes. */
export interface Plan {
  readonly node: Node
  readonly routing: Routing
  readonly shadow: Node | undefined
  /** To be called when the node has answered. */
  readonly served: () => void
  /** To be called when the attempt is over. */
  readonly done: () => void
}

const NOTHING = (): void => {}

/**
 * Plans one attempt at a read: what must it see, which nodes show that, and is waiting better than
 * fleeing to the primary. `undefined` when no node is left.
 *
 * @throws InvalidArgumentError for a level or a lag that does not exist
 * @throws StaleReplicasError when an explicit session cannot be served within the budgets
 */
export const planRead = async (
  core: Core,
  options: CallOptions,
  deadline: Deadline,
  tried: ReadonlySet<Node>,
): Promise<Plan | undefined> => {
  checkOptions(options)
  const target = options.using ?? currentTarget(core)
  const only = target === undefined ? undefined : core.nodesFor(target)
  if (only === undefined) core.assertNotMisconfigured()
  const candidates = (only ?? core.replicas).filter(
    (node) => node !== core.primary && !tried.has(node),
  )
  const maxLagMs = options.maxLagMs ?? core.config.settings.maxLagMs
  if (maxLagMs !== undefined) await deadline.race(core.freshness.update(maxLagMs), NOTHING)
  const demand = await deadline.race(
    core.consistency.demand(options.consistency, candidates),
    NOTHING,
  )
  const plan = (choice: { node: Node; reason: RouteReason; shadow?: Node }, done = NOTHING): Plan =>
    planOf(core, demand, choice, done)
  const { primary } = core
  if (demand.primary && only === undefined) {
    return tried.has(primary) ? undefined : plan({ node: primary, reason: 'strong' })
  }
  const fresh =
    maxLagMs === undefined ? undefined : (node: Node) => core.freshness.isWithin(node, maxLagMs)
  const sees = demand.accepts
  const choose = (
    accepts: ((node: Node) => boolean) | undefined,
    replicasOnly: boolean,
  ): Choice<Node> | undefined =>
    core.router.choose({
      now: performance.now(),
      tried,
      replicasOnly,
      ...(only && { only }),
      ...(accepts && { accepts }),
      ...(demand.stay && { stay: demand.stay }),
    })
  const accepts = both(fresh, sees)
  const choice = choose(accepts, sees !== undefined)
  if (choice !== undefined) return plan(choice)
  if (sees === undefined) return undefined
  const behind = choose(fresh, true)
  if (behind === undefined) {
    const last = choose(accepts, false)
    return last && plan(last)
  }
  // Replicas are there, and none of them shows what must be seen.
  const mayFlee =
    only === undefined && !tried.has(primary) && !primary.isQuarantined(performance.now())
  if (mayFlee && core.fallback.take()) {
    return plan({ node: primary, reason: 'not-caught-up' }, () => core.fallback.give())
  }
  if (demand.explicit)
    throw new StaleReplicasError(
      candidates.map(({ name }) => name),
      demand.waitedMs,
    )
  const node =
    core.consistency.freshest(candidates.filter((each) => fresh?.(each) ?? true)) ?? behind.node
  publish(core.events, 'stale', { node: node.name, waitedMs: demand.waitedMs })
  return plan({ node, reason: 'stale' })
}

const planOf = (
  core: Core,
  demand: Demand,
  { node, reason, shadow }: { node: Node; reason: RouteReason; shadow?: Node },
  done: () => void,
): Plan => ({
  node,
  shadow,
  routing: {
    node: node.name,
    role: node.role,
    reason,
    lagMs: core.freshness.lagMs(node),
    waitedMs: demand.waitedMs,
  },
  served: () => demand.served(node),
  done,
})

const both = <N>(
  one: ((node: N) => boolean) | undefined,
  other: ((node: N) => boolean) | undefined,
): ((node: N) => boolean) | undefined => {
  if (one === undefined || other === undefined) return one ?? other
  return (node) => one(node) && other(node)
}

const checkOptions = ({ maxLagMs, consistency }: CallOptions): void => {
  if (maxLagMs !== undefined && !(maxLagMs >= 0)) {
    throw new InvalidArgumentError(`maxLagMs must be 0 or more milliseconds, not ${maxLagMs}`)
  }
  if (consistency !== undefined && !CONSISTENCIES.includes(consistency)) {
    throw new InvalidArgumentError(
      `consistency must be one of ${CONSISTENCIES.join(', ')}, not '${String(consistency)}'`,
    )
  }
}
