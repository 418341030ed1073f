import { ClusterVerificationError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import type { Purpose } from '../nodes/options.ts'
import type { Questioned, ServerState } from '../nodes/state.ts'
import type { Failover } from './failover.ts'
import type { Topology } from './topology.ts'

/** What admission looks at. */
interface Surroundings {
  readonly topology: Topology
  readonly failover: Failover
  /** `allow_same_server`: replicas need not be in recovery. */
  readonly oneServer: boolean
}

/**
 * Lets a new connection in, or not: behind an address there may be another server than the last
 * time (a proxy, a name that follows failovers, a container that was started anew).
 *
 * @throws ClusterVerificationError when the server is not the one that this connection is for
 */
export const admit = async (
  around: Surroundings,
  node: Node,
  client: Questioned,
  purpose: Purpose,
): Promise<void> => {
  const { topology, failover } = around
  const state = await node.probe.ask(client)
  const problem = problemWith(around, node, state, purpose)
  if (problem === undefined) {
    // Connections for reads are read-only on every server: they do not know whether it accepts writes.
    if (purpose === 'write') failover.observe(node, state)
    return
  }
  if (node === topology.primary) failover.suspect(node)
  else failover.check()
  throw new ClusterVerificationError([{ node: node.name, problem }])
}

const problemWith = (
  { topology, failover, oneServer }: Surroundings,
  node: Node,
  { inRecovery, readOnly, systemIdentifier, timeline }: ServerState,
  purpose: Purpose,
): string | undefined => {
  const known = failover.systemIdentifier
  if (known !== undefined && systemIdentifier !== undefined && systemIdentifier !== known)
    return `is a server of another cluster: its system identifier is ${systemIdentifier}, not ${known}`
  if (node !== topology.primary) {
    // It accepts writes and is not confirmed: whatever it shows may be another history.
    const promoted = !inRecovery && !oneServer
    return promoted ? 'is taken for a replica, but the server is not in recovery' : undefined
  }
  if (inRecovery) return 'is taken for the primary, but the server is in recovery'
  if (purpose === 'write' && readOnly)
    return 'is taken for the primary, but its sessions are read-only'
  if (timeline !== undefined && timeline < (failover.timeline ?? 0))
    return `is on timeline ${timeline}, which ended with the promotion to ${failover.timeline}`
  return undefined
}
