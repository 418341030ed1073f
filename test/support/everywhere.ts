import { setTimeout as sleep } from 'node:timers/promises'
import type { TestCluster } from '../../src/testing/start-cluster.ts'
import { clientFor } from './shared-cluster.ts'

/** Runs SQL on the primary of servers of one's own, and waits until all replicas show what it has done. */
export const runEverywhere = async ({ config }: TestCluster, text: string): Promise<void> => {
  const clients = Object.entries(config).map(([name, node]) => ({ name, client: clientFor(node) }))
  try {
    await Promise.all(clients.map(({ client }) => client.connect()))
    const primary = clients.find(({ name }) => name === 'master')!.client
    await primary.query(text)
    const { rows } = await primary.query<{ lsn: string }>(
      'SELECT pg_current_wal_flush_lsn() AS lsn',
    )
    const shows = 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done'
    for (const { client } of clients.filter(({ name }) => name !== 'master'))
      while (!(await client.query<{ done: boolean }>(shows, [rows[0]!.lsn])).rows[0]?.done)
        await sleep(5)
  } finally {
    await Promise.all(clients.map(({ client }) => client.end()))
  }
}
