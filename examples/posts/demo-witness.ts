import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import type { TestCluster } from 'segregato/testing'

/** What the servers have to log for that: the application's name before each statement. */
export const WITNESS_SETTINGS = { log_statement: 'all', log_line_prefix: '%a ' }

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

const QUESTION = `
  SELECT inet_server_port() AS port, pg_is_in_recovery() AS "isReplica"`

/** How the log of a server tells that a session of the application has begun a statement. */
const STATEMENT = /^segregato LOG: {2}(?:statement|execute [^:]*): .*\bposts\b/m

/** Opens one connection to each server, past the library: what they tell does not come from it. */
export const openWitnesses = async (servers: TestCluster): Promise<Witnesses> => {
  const witnesses = await Promise.all(
    Object.keys(servers.config).map(async (name) => {
      const client = new Client({ connectionString: servers.url(name) })
      // The servers are stopped while nobody asks them any more.
      client.on('error', () => undefined)
      await client.connect()
      const log = join(servers.directory, `${name}.log`)
      return { name, client, log, read: (await readFile(log)).length }
    }),
  )
  return {
    ask: async () => {
      const found: Witness[] = []
      for (const witness of witnesses) {
        const log = await readFile(witness.log)
        const said = log.toString('utf8', witness.read)
        witness.read = log.length
        if (!STATEMENT.test(said)) continue
        const { rows } = await witness.client.query<Omit<Witness, 'name'>>(QUESTION)
        found.push({ name: witness.name, ...rows[0]! })
      }
      return found
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(witnesses.map(({ client }) => client.end()))
    },
  }
}
