import type { ClientBase } from 'pg'

/** The name counts, since a pooler may have made the number up. */
const IDLE = `SELECT pid FROM pg_stat_activity
  WHERE pid = ANY($1::int[]) AND application_name = $2 AND state LIKE 'idle%'`

/** Which of these server processes wait for a statement, by what the server says of them. */
export const probeIdleBackends = async (
  client: ClientBase,
  pids: readonly number[],
  applicationName: string,
): Promise<ReadonlySet<number>> => {
  const { rows } = await client.query<{ pid: number }>(IDLE, [pids, applicationName])
  return new Set(rows.map(({ pid }) => pid))
}
