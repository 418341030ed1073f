import type { NodeProblem } from '../errors.ts'
import type { Node, WrongServer } from '../nodes/node.ts'
import { describeFailure } from '../routing/failures.ts'
import { currentTarget } from './context.ts'
import type { Core } from './core.ts'
import type { CallOptions } from './statement.ts'

const WRONG_SERVERS = {
  'other-system': 'belongs to another cluster',
  'not-in-recovery': 'is a primary, not a replica',
} as const satisfies Record<WrongServer, string>

/** The nodes that a read could have gone to and was not tried on, each with the reason. */
export const leftOut = (
  core: Core,
  options: CallOptions,
  tried: readonly NodeProblem[],
): readonly NodeProblem[] => {
  const target = options.using ?? currentTarget(core)
  const nodes = target === undefined ? core.nodes : core.candidates.meantBy(target)
  const maxLagMs =
    options.maxLagMs ??
    core.consistency.sessions.explicit?.wishes.maxLagMs ??
    core.settings.maxLagMs
  return nodes.flatMap((node) => {
    const problem = tried.some((one) => one.node === node.name)
      ? undefined
      : reasonFor(core, node, maxLagMs)
    return problem === undefined ? [] : [{ node: node.name, problem }]
  })
}

const reasonFor = (core: Core, node: Node, maxLagMs: number | undefined): string | undefined => {
  if (node.wrongServer !== undefined) return WRONG_SERVERS[node.wrongServer]
  if (maxLagMs !== undefined && !core.freshness.isWithin(node, maxLagMs))
    return `not known to be at most ${maxLagMs} ms behind`
  return node.isQuarantined(performance.now())
    ? `left alone after ${describeFailure(node.lastError)}`
    : undefined
}
