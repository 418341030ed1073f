import type { Connections } from '../nodes/connections.ts'
import type { Node } from '../nodes/node.ts'
import type { Fault } from '../routing/fault.ts'
import { isAlive } from './ask-node.ts'

/** Who is told when something speaks against the primary. */
interface Surroundings {
  readonly failover: { suspect(node: Node, reason?: unknown): void }
}

/** Does with a node what a failure says about it. */
export const judge = (
  { failover }: Surroundings,
  node: Node,
  fault: Fault,
  error: Error,
  connections?: Connections,
): void => {
  switch (fault.follows.node) {
    case 'none':
      return
    case 'ask role':
      failover.suspect(node, error)
      return
    case 'eject':
      node.failed(error)
      failover.suspect(node, error)
      return
    case 'disable':
      node.failed(error, 'misconfigured')
      return
    case 'suspect':
      doubt({ failover }, node, error)
      return
    case 'cool down':
      node.note('overloaded')
      if (connections === undefined) return
      connections.coolDown()
      // With connections of its own it goes on serving; without any, another node must.
      if (connections === node.read && connections.counts.totalCount === 0) node.failed(error)
      return
    default:
      fault.follows.node satisfies never
  }
}

/** Something speaks against a node, and may have been a chance: it is asked. */
export const doubt = ({ failover }: Surroundings, node: Node, error: Error): void => {
  failover.suspect(node, error)
  void isAlive(node).then((alive) => {
    if (!alive) node.failed(error)
  })
}
