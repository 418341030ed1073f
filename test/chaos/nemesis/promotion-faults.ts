import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultKind } from './kinds.ts'
import { USUAL_DELAY_MS } from './stage.ts'
import type { Stage } from './stage.ts'

/** How long the replica that is promoted stands still, while the other one goes on receiving. */
const BEHIND_MS = 700

const promotion = (name: string, begin: (stage: Stage) => Promise<void>): FaultKind => ({
  name: `promotion: ${name}`,
  slots: [],
  alone: true,
  affectsAll: true,
  begin: async (stage) => {
    const old = stage.primary
    await begin(stage)
    // The other replica first: it may have its place in the new history, the old primary has none.
    return async () => {
      for (const replica of stage.replicas.toSorted(
        (a, b) => Number(a === old) - Number(b === old),
      ))
        await follow(stage, replica)
    }
  },
})

const follow = async (stage: Stage, replica: string): Promise<void> => {
  await stage.servers.follow(replica, stage.primary)
  await stage.servers.setApplyDelay(replica, USUAL_DELAY_MS)
}

const promote = async (stage: Stage, replica: string): Promise<void> => {
  await stage.servers.promote(replica)
  stage.primary = replica
}

/** Changes of the primary. What was acknowledged and not yet sent to the promoted one is lost: that is asynchronous replication. */
export const PROMOTION_FAULTS: readonly FaultKind[] = [
  promotion('in order', async (stage) => {
    await stage.servers.stop(stage.primary)
    await promote(stage, stage.nodeIn('first replica'))
  }),
  promotion('after a kill', async (stage) => {
    const next = stage.nodeIn('second replica')
    await stage.servers.kill(stage.primary)
    await promote(stage, next)
  }),
  // Two servers accept writes, and the old one has the older history.
  promotion('the old primary comes back', async (stage) => {
    const old = stage.primary
    const next = stage.nodeIn('first replica')
    await stage.servers.kill(old)
    await promote(stage, next)
    await stage.servers.start(old)
  }),
  promotion('the old primary was frozen', async (stage) => {
    const old = stage.primary
    const next = stage.nodeIn('second replica')
    await stage.servers.freeze(old)
    await promote(stage, next)
    await sleep(300)
    await stage.servers.thaw(old)
  }),
  // The other replica is ahead of the new primary, in a history that is over.
  promotion('of a replica that is behind', async (stage) => {
    const next = stage.nodeIn('first replica')
    await stage.servers.freeze(next)
    // Far ahead: else the new history has soon come to the same numbers.
    await stage.withClient(stage.primary, (client) =>
      client.query(`SELECT pg_logical_emit_message(true, 'chaos', repeat('x', 8000000))`),
    )
    await sleep(BEHIND_MS)
    await stage.servers.kill(stage.primary)
    await stage.servers.thaw(next)
    await promote(stage, next)
  }),
]
