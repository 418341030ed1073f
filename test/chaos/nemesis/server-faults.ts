import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import type { FaultKind } from './kinds.ts'
import { OWN_NAME, USUAL_DELAY_MS } from './stage.ts'
import type { Stage } from './stage.ts'

const REPLICAS = ['first replica', 'second replica'] as const
const ALL = ['primary', ...REPLICAS] as const

/** Faults of one server. */
export const SERVER_FAULTS: readonly FaultKind[] = [
  {
    name: 'kill',
    slots: ALL,
    weight: 3,
    begin: async ({ servers }, { node }) => {
      await servers.kill(node)
      return () => servers.start(node)
    },
  },
  {
    name: 'restart',
    slots: ALL,
    begin: async ({ servers }, { node }) => {
      await servers.stop(node)
      return () => servers.start(node)
    },
  },
  {
    name: 'freeze',
    slots: ALL,
    weight: 2,
    begin: async ({ servers }, { node }) => {
      await servers.freeze(node)
      return () => servers.thaw(node)
    },
  },
  {
    name: 'pause replay',
    slots: REPLICAS,
    weight: 2,
    harmless: true,
    begin: async ({ servers }, { node }) => {
      await servers.pauseReplay(node)
      return () => servers.resumeReplay(node)
    },
  },
  {
    name: 'slow replay',
    slots: REPLICAS,
    weight: 2,
    harmless: true,
    begin: async ({ servers }, { node, size }) => {
      await servers.setApplyDelay(node, 50 + Math.floor(1_500 * size))
      return () => servers.setApplyDelay(node, USUAL_DELAY_MS)
    },
  },
  {
    name: 'terminate',
    slots: ALL,
    weight: 2,
    begin: (stage, { node, lastsMs }) => repeat(lastsMs, 300, () => terminate(stage, node)),
  },
  {
    name: 'fill',
    slots: ALL,
    begin: async (stage, { node }) => {
      const clients: Client[] = []
      // Present connections would go on as if nothing had happened.
      await terminate(stage, node)
      await fill(stage, node, clients)
      return async () => {
        await Promise.all(clients.map((client) => client.end().catch(() => undefined)))
      }
    },
  },
]

/** Faults that are for no single server. */
export const COMMON_FAULTS: readonly FaultKind[] = [
  {
    // A lock of the primary's is replayed: replicas cancel the reads that are in its way.
    name: 'conflict',
    slots: [],
    alone: true,
    affectsAll: true,
    begin: (stage, { lastsMs }) =>
      repeat(lastsMs, 500, () =>
        stage.withClient(stage.primary, async (client) => {
          await client.query('BEGIN')
          await client.query('LOCK TABLE la IN ACCESS EXCLUSIVE MODE')
          await sleep(100)
          await client.query('COMMIT')
        }),
      ),
  },
  {
    name: 'kill a process',
    slots: [],
    harmless: true,
    begin: async ({ crew }, { size, killed }) => {
      killed(await crew.kill(size))
      return async () => crew.replace()
    },
  },
  {
    name: 'stall a process',
    slots: [],
    harmless: true,
    weight: 2,
    begin: async ({ crew }, { size }) => {
      crew.stall(size, 300 + 1_200 * size)
      return async () => undefined
    },
  },
]

/** Ends all connections of the workers. */
const terminate = (stage: Stage, node: string): Promise<void> =>
  stage.withClient(node, async (client) => {
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name <> $1`,
      [OWN_NAME],
    )
  })

const fill = async (stage: Stage, node: string, clients: Client[]): Promise<void> => {
  for (;;) {
    try {
      clients.push(await stage.open(node))
    } catch {
      return
    }
  }
}

/** Does something again and again until it is told to end. */
export const repeat = async (
  lastsMs: number,
  everyMs: number,
  act: () => Promise<void>,
): Promise<() => Promise<void>> => {
  const done = (async () => {
    for (let left = lastsMs; left > 0; left -= everyMs) {
      await act().catch(() => undefined)
      await sleep(everyMs)
    }
  })()
  return () => done
}
