import { Client } from 'pg'
import type { TestCluster } from 'segregato/testing'

/** A server that has received a statement of the application, in its own words. */
export interface Witness {
  readonly name: string
  readonly port: number
  /** `pg_is_in_recovery()`: a streaming replica. */
  readonly isReplica: boolean
}

/** Asks the servers what the application has sent to them. */
export interface Witnesses extends AsyncDisposable {
  /** Which servers have received a statement about posts since the last question. */
  ask(): Promise<readonly Witness[]>
}

/** Each session of the application shows its last statement, and when that began by the server's clock. */
const QUESTION = `
  SELECT inet_server_port() AS port, pg_is_in_recovery() AS "isReplica",
    clock_timestamp()::text AS now,
    EXISTS (
      SELECT FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND application_name = 'segregato'
        AND query ~ '\\mposts\\M' AND query_start > $1::timestamptz
    ) AS "hasAnswered"`

interface Answer {
  readonly port: number
  readonly isReplica: boolean
  readonly now: string
  readonly hasAnswered: boolean
}

/** Opens one connection to each server, past the library: what they tell does not come from it. */
export const openWitnesses = async (servers: TestCluster): Promise<Witnesses> => {
  const witnesses = await Promise.all(
    Object.keys(servers.config).map(async (name) => {
      const client = new Client({ connectionString: servers.url(name) })
      // The servers are stopped while nobody asks them any more.
      client.on('error', () => undefined)
      await client.connect()
      return { name, client, since: '-infinity' }
    }),
  )
  return {
    ask: async () => {
      const found: Witness[] = []
      for (const witness of witnesses) {
        const { rows } = await witness.client.query<Answer>(QUESTION, [witness.since])
        const { port, isReplica, now, hasAnswered } = rows[0]!
        witness.since = now
        if (hasAnswered) found.push({ name: witness.name, port, isReplica })
      }
      return found
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(witnesses.map(({ client }) => client.end()))
    },
  }
}
