import { StaleReplicasError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import type { Choice } from '../routing/router.ts'
import type { Session } from '../routing/session.ts'
import type { Demand } from './demand.ts'
import { currentTarget } from './context.ts'
import type { Core } from './core.ts'
import type { Deadline } from './deadline.ts'
import { publish } from './events.ts'
import type { CallOptions, RouteReason, Routing } from './statement.ts'
import { checkWishes } from './wishes.ts'

/** Where one attempt at a read goes. */
export interface Plan {
  readonly node: Node
  readonly routing: Routing
  readonly shadow: Node | undefined
  /** The explicit session of the read, which stays with the node when it has answered. */
  readonly session: Session<Node> | undefined
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
  checkWishes(options)
  const { primary } = core
  const target = options.using ?? currentTarget(core)
  const only = target === undefined ? undefined : core.candidates.meantBy(target)
  if (only === undefined) core.candidates.assertNotMisconfigured()
  const candidates =
    only === undefined && tried.size === 0
      ? core.candidates.replicas
      : (only ?? core.candidates.replicas).filter(
          (node) => node !== primary && node.wrongServer === undefined && !tried.has(node),
        )
  const session = core.consistency.sessions.explicit
  const askedMs = options.maxLagMs ?? session?.wishes.maxLagMs
  const maxLagMs = askedMs ?? core.settings.maxLagMs
  const level = core.consistency.sessions.levelOf(options.consistency, session)
  // Without a primary nobody can tell how old a replica is, and reads go on. Whoever asks for a bound gets it.
  const unmeasured = maxLagMs !== undefined && askedMs === undefined && !hasPrimary(core)
  const fresh: Predicate =
    maxLagMs === undefined
      ? undefined
      : (node) =>
          core.freshness.isWithin(node, maxLagMs) ||
          (unmeasured && core.freshness.hasAllKnown(node))
  const situation: Situation = { only, candidates, tried, fresh }
  if (session?.prefersPrimary && level === 'session' && session.lost === undefined) {
    const plan = planFallback(core, situation, { session, waitedMs: 0 })
    if (plan !== undefined) return plan
  }
  if (maxLagMs !== undefined && !unmeasured) {
    const ready = core.freshness
      .update(maxLagMs, candidates)
      .then(() => core.consistency.demands.of(level, session, servingOf(candidates)))
    return deadline.race(ready, NOTHING).then((demand) => choosePlan(core, situation, demand))
  }
  const demand = core.consistency.demands.of(level, session, servingOf(candidates))
  return demand instanceof Promise
    ? deadline.race(demand, NOTHING).then((known) => choosePlan(core, situation, known))
    : choosePlan(core, situation, demand)
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

/** What a decision looks at, besides what must be seen. */
interface Situation {
  readonly only: readonly Node[] | undefined
  /** The replicas among the nodes that may serve and have not failed. */
  readonly candidates: readonly Node[]
  readonly tried: ReadonlySet<Node>
  /** Who is not too far behind the primary; absent: all are. */
  readonly fresh: Predicate
}

type Predicate = ((node: Node) => boolean) | undefined

const hasPrimary = ({ failover, primary }: Core): boolean =>
  failover.trusted !== undefined && !primary.isQuarantined(performance.now())

const choosePlan = (core: Core, situation: Situation, demand: Demand): Plan | undefined => {
  const { only, tried, fresh } = situation
  const { position } = demand
  const now = performance.now()
  const choose = (accepts: Predicate, replicasOnly: boolean): Choice<Node> | undefined =>
    core.router.choose({ now, tried, only, accepts, replicasOnly, stay: demand.session?.lastRead })
  // What is left may be back, though it is still left alone: better than no answer.
  const planLast = (): Plan | undefined => {
    const last = choose(fresh, false)
    if (last === undefined || last.node === core.primary) return last && planOf(core, demand, last)
    return planStale(core, situation, demand, last.node)
  }
  if (demand.primary !== undefined && only === undefined) {
    const plan = planPrimary(core, situation, demand)
    if (plan !== undefined || demand.primary === 'strong') return plan
    if (demand.primary === 'only')
      return planStale(core, situation, demand, undefined) ?? planLast()
  }
  const sees: Predicate =
    position === undefined
      ? undefined
      : (node) => core.consistency.catchUp.shows(node, position, demand.isRecent)
  const accepts =
    fresh && sees ? (node: Node): boolean => fresh(node) && sees(node) : (fresh ?? sees)
  const choice = choose(accepts, sees !== undefined)
  if (choice !== undefined) return planOf(core, demand, choice)
  if (sees === undefined) return undefined
  // Replicas are there, and none of them shows what must be seen; or there are none.
  const behind = choose(fresh, true)
  if (behind !== undefined) {
    return planFallback(core, situation, demand) ?? planStale(core, situation, demand, behind.node)
  }
  const last = choose(accepts, false)
  if (last !== undefined) return planOf(core, demand, last)
  return demand.session === undefined ? planLast() : undefined
}

/** The primary, where that is what the read wants. */
const planPrimary = (core: Core, situation: Situation, demand: Demand): Plan | undefined => {
  const { primary } = core
  const strong = demand.primary === 'strong'
  // Without a primary the process's session takes what there is; everything else waits or fails.
  const exists = core.failover.trusted !== undefined || strong || demand.session !== undefined
  if (!exists || situation.tried.has(primary)) return undefined
  return planOf(core, demand, { node: primary, reason: strong ? 'strong' : 'not-caught-up' })
}

/** The primary in place of replicas that are behind, within its budget. */
const planFallback = (
  core: Core,
  { only, tried }: Situation,
  demand: Pick<Demand, 'session' | 'waitedMs'>,
): Plan | undefined => {
  const { primary } = core
  const mayFlee =
    only === undefined && !tried.has(primary) && !primary.isQuarantined(performance.now())
  if (!mayFlee || !core.fallback.take()) return undefined
  const plan = planOf(core, demand, { node: primary, reason: 'not-caught-up' })
  return { ...plan, done: () => core.fallback.give() }
}

/** Nobody can show what must be seen: an explicit session fails, the process's takes the freshest. */
const planStale = (
  core: Core,
  { candidates, fresh }: Situation,
  demand: Demand,
  behind: Node | undefined,
): Plan | undefined => {
  if (demand.session !== undefined) {
    throw new StaleReplicasError(
      candidates.map(({ name }) => name),
      demand.waitedMs,
      demand.position && core.consistency.catchUp.missingBytes(candidates, demand.position),
    )
  }
  const now = performance.now()
  const fit = candidates.filter((node) => !node.isQuarantined(now) && (fresh?.(node) ?? true))
  const node = core.consistency.catchUp.freshest(fit) ?? behind
  if (node === undefined) return undefined
  core.counts.staleReads++
  publish(core.events, 'stale', { node: node.name, waitedMs: demand.waitedMs })
  return planOf(core, demand, { node, reason: 'stale' })
}

const planOf = (
  core: Core,
  { session, waitedMs }: Pick<Demand, 'session' | 'waitedMs'>,
  { node, reason, shadow }: { node: Node; reason: RouteReason; shadow?: Node | undefined },
): Plan => ({
  node,
  session,
  shadow,
  routing: {
    node: node.name,
    role: node.role,
    reason,
    lagMs: core.freshness.lagMs(node),
    waitedMs,
  },
  done: NOTHING,
})
