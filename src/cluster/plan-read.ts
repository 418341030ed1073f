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
export const planRead = (
  core: Core,
  options: CallOptions,
  deadline: Deadline,
  tried: ReadonlySet<Node>,
): Plan | undefined | Promise<Plan | undefined> => {
  checkOptions(options)
  const target = options.using ?? currentTarget(core)
  const only = target === undefined ? undefined : core.nodesFor(target)
  if (only === undefined) core.assertNotMisconfigured()
  const candidates =
    only === undefined && tried.size === 0
      ? core.candidates
      : (only ?? core.candidates).filter(
          (node) => node !== core.primary && node.wrongServer === undefined && !tried.has(node),
        )
  const maxLagMs = options.maxLagMs ?? core.config.settings.maxLagMs
  const fresh =
    maxLagMs === undefined ? undefined : (node: Node) => core.freshness.isWithin(node, maxLagMs)
  const decide = (demand: Demand): Plan | undefined =>
    choosePlan(core, { demand, only, candidates, tried, fresh })
  const demand = (): Demand | Promise<Demand> =>
    core.consistency.demand(options.consistency, servingOf(candidates))
  if (maxLagMs !== undefined) {
    const ready = core.freshness.update(maxLagMs, candidates).then(demand)
    return deadline.race(ready, NOTHING).then(decide)
  }
  const present = demand()
  return present instanceof Promise ? deadline.race(present, NOTHING).then(decide) : decide(present)
}

/**
 * The candidates that are not left alone for the time being, if there are any. One that is, and has come
 * far enough, must not end the wait for the others: it does not serve.
 */
const servingOf = (candidates: readonly Node[]): readonly Node[] => {
  const now = performance.now()
  if (!candidates.some((node) => node.isQuarantined(now))) return candidates
  const serving = candidates.filter((node) => !node.isQuarantined(now))
  return serving.length > 0 ? serving : candidates
}

/** What a decision looks at. */
interface Situation {
  readonly demand: Demand
  readonly only: readonly Node[] | undefined
  /** The replicas among the nodes that may serve and have not failed. */
  readonly candidates: readonly Node[]
  readonly tried: ReadonlySet<Node>
  readonly fresh: ((node: Node) => boolean) | undefined
}

const choosePlan = (core: Core, situation: Situation): Plan | undefined => {
  const { demand, only, tried, fresh } = situation
  const { primary } = core
  if (demand.primary && only === undefined) {
    // Without a primary the process's session takes what there is; everything else waits or fails.
    const there = core.failover.trusted !== undefined || demand.explicit
    if (there && !tried.has(primary))
      return planOf(core, demand, { node: primary, reason: 'strong' })
    if (demand.explicit) return undefined
  }
  const choose = (accepts: typeof fresh, replicasOnly: boolean): Choice<Node> | undefined =>
    core.router.choose({
      now: performance.now(),
      tried,
      replicasOnly,
      ...(only && { only }),
      ...(accepts && { accepts }),
      ...(demand.stay && { stay: demand.stay }),
    })
  const sees = demand.primary && only === undefined ? () => false : demand.accepts
  const accepts = both(fresh, sees)
  const choice = choose(accepts, sees !== undefined)
  if (choice !== undefined) return planOf(core, demand, choice)
  if (sees === undefined) return undefined
  // Replicas are there, and none of them shows what must be seen; or there are none.
  const behind = choose(fresh, true)
  if (behind !== undefined) return planBehind(core, situation, behind.node)
  const last = choose(accepts, false)
  return last && planOf(core, demand, last)
}

/** The primary within its budget; else an explicit session fails and the process's takes the freshest. */
const planBehind = (core: Core, situation: Situation, fallback: Node): Plan => {
  const { demand, only, candidates, tried, fresh } = situation
  const { primary } = core
  const mayFlee =
    only === undefined && !tried.has(primary) && !primary.isQuarantined(performance.now())
  if (mayFlee && core.fallback.take()) {
    const choice = { node: primary, reason: 'not-caught-up' } as const
    return { ...planOf(core, demand, choice), done: () => core.fallback.give() }
  }
  if (demand.explicit) {
    throw new StaleReplicasError(
      candidates.map(({ name }) => name),
      demand.waitedMs,
    )
  }
  const fit = candidates.filter((each) => fresh?.(each) ?? true)
  const node = core.consistency.freshest(fit) ?? fallback
  publish(core.events, 'stale', { node: node.name, waitedMs: demand.waitedMs })
  return planOf(core, demand, { node, reason: 'stale' })
}

const planOf = (
  core: Core,
  demand: Demand,
  { node, reason, shadow }: { node: Node; reason: RouteReason; shadow?: Node },
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
  done: NOTHING,
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
      `consistency must be one of ${CONSISTENCIES.join(', ')}, not '${consistency as string}'`,
    )
  }
}
