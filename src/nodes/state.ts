import pg from 'pg'
import type { CustomTypesConfig, QueryConfig, QueryResult, QueryResultRow } from 'pg'
import { parseLsn } from './position.ts'
import type { Lsn } from './position.ts'

/** What a server said of itself at one moment. What it denies or does not have is `undefined`: unknown. */
export interface ServerState {
  /** When it was asked, on the clock of `performance.now()`: what it says is at least this old. */
  readonly at: number
  /** True on a standby. */
  readonly inRecovery: boolean
  /** Whether its sessions may not write, standby or not. */
  readonly readOnly: boolean
  /** The same for all servers that come from one `initdb`. */
  readonly systemIdentifier: string | undefined
  /** The server's version, such as `'18.4'`. */
  readonly version: string
  /** The timeline that a primary writes, or that a standby receives. */
  readonly timeline: number | undefined
  /** What a primary has flushed, or a standby replayed. */
  readonly position: Lsn | undefined
  /** When the server was started, by its own clock: two names with one start are one server. */
  readonly startedAt: string | undefined
  /** Of a standby. */
  readonly replayPaused: boolean | undefined
  /** Whether a standby has a connection to the server that it follows. */
  readonly receiving: boolean | undefined
}

/** Each fact that a managed service may deny, as SQL. `r.rec`: the server is in recovery. */
const DENIABLE = {
  system: '(SELECT system_identifier::text FROM pg_control_system())',
  started: 'extract(epoch FROM pg_postmaster_start_time())::text',
  // The control file's timeline is about a second late after a promotion; the WAL file's name is right at once.
  written: `CASE WHEN NOT r.rec THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END`,
  received: `CASE WHEN r.rec THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
    (SELECT timeline_id FROM pg_control_checkpoint())) END`,
  position: `(CASE WHEN r.rec THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text`,
  paused: 'CASE WHEN r.rec THEN pg_is_wal_replay_paused() END',
  receiving: 'CASE WHEN r.rec THEN EXISTS (SELECT FROM pg_stat_wal_receiver) END',
} as const

/** A connection as far as questions need one. */
export interface Questioned {
  query<Row extends QueryResultRow>(config: QueryConfig): Promise<QueryResult<Row>>
}

type Fact = keyof typeof DENIABLE
const FACTS = Object.keys(DENIABLE) as readonly Fact[]

/** As the server writes them: `t` and `f` for truth values. */
type Row = Readonly<Partial<Record<Fact | 'in_recovery' | 'read_only' | 'version', string | null>>>

/** The application may have changed how values are read, for a pool or for all of `pg`. */
const AS_TEXT = { getTypeParser: () => (value: string) => value } as CustomTypesConfig

const statementFor = (facts: readonly Fact[]): string =>
  `SELECT r.rec AS in_recovery, current_setting('transaction_read_only') = 'on' AS read_only,
  current_setting('server_version') AS version${facts
    .map((fact) => `, ${DENIABLE[fact]} AS ${fact}`)
    .join('')} FROM (SELECT pg_is_in_recovery() AS rec) r`

const FULL = statementFor(FACTS)

/** Of the prepared statement on the connection that is kept for questions. */
export const PROBE_NAME = 'segregato_state'

/**
 * What a server denies is asked for again after this time, then each time twice as long: rights may have
 * been granted, and every refusal is a line in the server's log.
 */
const DENIED_MS = 5_000
const DENIED_LONGEST_MS = 300_000

/** Asks one server for its state in one statement, which leaves out what the server is known to deny. */
export class StateProbe {
  readonly #firstPauseMs: number
  #denied: ReadonlySet<Fact> = new Set()
  #pauseMs: number
  #recheckAt = Infinity

  /** @param pauseMs - after which what was denied is asked for again the first time */
  constructor(pauseMs = DENIED_MS) {
    this.#firstPauseMs = this.#pauseMs = pauseMs
  }

  /** Whether the server tells how far it has come, as far as is known. */
  get tellsPosition(): boolean {
    return !this.#denied.has('position')
  }

  /**
   * @param name - leaves a prepared statement on the connection, which makes the next question cheaper
   * @throws what `pg` throws when the connection is lost
   */
  async ask(client: Questioned, name?: string): Promise<ServerState> {
    const at = performance.now()
    if (at >= this.#recheckAt) await this.#learn(client, [...this.#denied])
    try {
      return stateFrom(await this.#row(client, name), at)
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#pauseMs = this.#firstPauseMs
      await this.#learn(client, FACTS)
      return stateFrom(await this.#row(client, name), at)
    }
  }

  async #learn(client: Questioned, facts: readonly Fact[]): Promise<void> {
    this.#recheckAt = performance.now() + this.#pauseMs
    this.#pauseMs = Math.min(DENIED_LONGEST_MS, this.#pauseMs * 2)
    this.#denied = await deniedFacts(client, facts)
    if (this.#denied.size === 0) this.#recheckAt = Infinity
  }

  async #row(client: Questioned, name: string | undefined): Promise<Row | undefined> {
    const denied = this.#denied
    const text = denied.size === 0 ? FULL : statementFor(FACTS.filter((fact) => !denied.has(fact)))
    const prepared = name !== undefined && denied.size === 0
    return (await client.query<Row>({ text, types: AS_TEXT, ...(prepared && { name }) })).rows[0]
  }
}

/** Asks for each fact by itself. */
const deniedFacts = async (
  client: Questioned,
  facts: readonly Fact[],
): Promise<ReadonlySet<Fact>> => {
  const denied = new Set<Fact>()
  for (const fact of facts) {
    try {
      await client.query({ text: statementFor([fact]) })
    } catch (error) {
      if (!isRefusal(error)) throw error
      denied.add(fact)
    }
  }
  return denied
}

/** The server answered, and does not tell: denied, unknown function, not supported. The connection stays open. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.severity === 'ERROR'

const stateFrom = (row: Row | undefined, at: number): ServerState => ({
  at,
  inRecovery: row?.in_recovery === 't',
  readOnly: row?.read_only === 't',
  systemIdentifier: row?.system ?? undefined,
  version: row?.version ?? '',
  startedAt: row?.started ?? undefined,
  timeline: timelineOf(row),
  position: parseLsn(row?.position),
  replayPaused: truthOf(row?.paused),
  receiving: truthOf(row?.receiving),
})

const truthOf = (text: string | null | undefined): boolean | undefined =>
  typeof text === 'string' ? text === 't' : undefined

const timelineOf = (row: Row | undefined): number | undefined => {
  const { written, received } = row ?? {}
  if (typeof written === 'string') return Number.parseInt(written, 16)
  return typeof received === 'string' ? Number(received) : undefined
}
