import type { Facts } from './facts.ts'
import { finding } from './finding.ts'
import type { Finding } from './finding.ts'

/** Writes run on servers that are not in recovery, reads where the record says. */
export function* checkPlaces({ history }: Facts): Generator<Finding> {
  for (const operation of history.operations) {
    const { id, node, role, steps, outcome } = operation
    const writes = steps.some(({ type }) => type === 'append')
    const onReplica =
      steps.some((step) => step.type === 'append' && step.server?.inRecovery === true) ||
      (writes && outcome === 'ok' && role === 'replica')
    if (onReplica) yield finding('write-on-replica', `a write ran on ${node ?? 'a replica'}`, id)
    for (const { server } of steps) {
      if (server === undefined || node === undefined || server.port === history.ports[node])
        continue
      yield finding(
        'wrong-record',
        `the record says ${node} (port ${history.ports[node]}), the server was that of port ${server.port}`,
        id,
      )
    }
  }
  const hasMoved = history.branches.length > 0
  for (const [node, count] of Object.entries(history.refusedWrites)) {
    // While roles change, a server may have to tell that it is no primary any more.
    if (hasMoved || count === 0) continue
    yield finding(
      'write-tried-on-replica',
      `${node} refused ${count} writes although roles never changed`,
    )
  }
}
