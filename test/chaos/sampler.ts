import type { Client } from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseLsn } from '../../src/nodes/position.ts'
import { now } from './clock.ts'
import type { Sample } from './history.ts'
import type { Stage } from './nemesis/stage.ts'

const EVERY_MS = 50

const POSITION = `SELECT pg_current_wal_flush_lsn()::text AS lsn,
  pg_walfile_name(pg_current_wal_flush_lsn()) AS file WHERE NOT pg_is_in_recovery()`

/** Notes how far each server that accepts writes has come, until it is stopped. */
export const sample = (
  stage: Stage,
): { readonly samples: readonly Sample[]; readonly stop: () => void } => {
  const samples: Sample[] = []
  const clients = new Set<Client>()
  const work = new AbortController()
  const follow = async (node: string): Promise<void> => {
    while (!work.signal.aborted) {
      let client: Client | undefined
      try {
        client = await stage.open(node)
        clients.add(client)
        while (!work.signal.aborted) {
          const at = now()
          const { rows } = await client.query<{ lsn: string; file: string }>(POSITION)
          const lsn = parseLsn(rows[0]?.lsn)
          if (rows[0] !== undefined && lsn !== undefined)
            samples.push({ at, timeline: Number.parseInt(rows[0].file.slice(0, 8), 16), lsn })
          await sleep(EVERY_MS)
        }
      } catch {
        // The server is down; what it does meanwhile needs no samples.
        await sleep(EVERY_MS)
      } finally {
        if (client !== undefined) clients.delete(client)
        void client?.end().catch(() => undefined)
      }
    }
  }
  for (const node of stage.nodes) void follow(node)
  const stop = (): void => {
    work.abort()
    for (const client of clients) void client.end().catch(() => undefined)
  }
  return { samples, stop }
}
