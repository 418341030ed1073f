import pg from 'pg'
import type { ClientBase, QueryResultRow } from 'pg'
import { parseLsn } from './position.ts'
import type { Lsn } from './position.ts'
import type { ServerIdentity } from './probe.ts'
import { StateProbe } from './state.ts'

/**
 * Questions that a person asks of a server once, not a cluster at run time. What the server denies
 * or does not have is `undefined`: unknown, not a fault. A lost connection rejects.
 */

/** Who a server is, and since when: two names with one start are one server. */
export interface ServerInspection extends ServerIdentity {
  /** When the server was started, in seconds since 1970 with its microseconds. */
  readonly startedAt: string | undefined
}

/** How many connections a server gives to the user who asks, in this database. */
export interface ConnectionLimits {
  /** `max_connections`. */
  readonly maxConnections: number
  /** `superuser_reserved_connections` and, from PostgreSQL 16 on, `reserved_connections`. */
  readonly reserved: number
  /** Of the role; `undefined`: not limited. */
  readonly roleLimit: number | undefined
  /** Of the database; `undefined`: not limited. */
  readonly databaseLimit: number | undefined
}

/** What holds on a standby. Each field is `undefined` when it is not known. */
export interface StandbyInspection {
  readonly replayed: Lsn | undefined
  readonly replayPaused: boolean | undefined
  /** Whether it has a connection to the server that it follows. */
  readonly streaming: boolean | undefined
  readonly hotStandbyFeedback: boolean | undefined
  /** -1: replay waits for reads without limit. */
  readonly maxStandbyStreamingDelayMs: number | undefined
  readonly applyDelayMs: number | undefined
  /** The slot that it is told to use; `''`: none. */
  readonly slotName: string | undefined
}

/** A physical replication slot of a primary. */
export interface ReplicationSlot {
  readonly name: string
  readonly active: boolean
  /** `reserved`, `extended`, `unreserved` or `lost`; `undefined` before it was first used. */
  readonly walStatus: string | undefined
  /** How much of the log it holds back, in bytes. */
  readonly retainedBytes: number | undefined
}

/** The answer of a question that may be denied; `undefined` then. */
const known = async <T>(question: Promise<T>): Promise<T | undefined> => {
  try {
    return await question
  } catch (error) {
    // With a FATAL it takes its leave.
    if (error instanceof pg.DatabaseError && error.severity !== 'FATAL') return undefined
    throw error
  }
}

const firstRow = async <Row extends QueryResultRow>(
  client: ClientBase,
  text: string,
): Promise<Row | undefined> => (await client.query<Row>(text)).rows[0]

const STARTED = 'SELECT extract(epoch FROM pg_postmaster_start_time())::text AS started'

/** Asks a server who it is. */
export const inspectServer = async (client: ClientBase): Promise<ServerInspection> => {
  const { inRecovery, readOnly, systemIdentifier, version } = await new StateProbe().ask(client)
  const row = await known(firstRow<{ started: string }>(client, STARTED))
  return { inRecovery, readOnly, systemIdentifier, version, startedAt: row?.started }
}

const LIMITS = `SELECT current_setting('max_connections')::int AS max,
  current_setting('superuser_reserved_connections')::int
    + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
  CASE WHEN NOT r.rolsuper AND r.rolconnlimit >= 0 THEN r.rolconnlimit END AS role,
  CASE WHEN NOT r.rolsuper AND d.datconnlimit >= 0 THEN d.datconnlimit END AS database
FROM pg_roles r, pg_database d
WHERE r.rolname = session_user AND d.datname = current_database()`

/** Asks how many connections there may be. Limits of role and database do not bind superusers. */
export const inspectLimits = async (client: ClientBase): Promise<ConnectionLimits | undefined> => {
  const row = await known(
    firstRow<{ max: number; reserved: number; role: number | null; database: number | null }>(
      client,
      LIMITS,
    ),
  )
  if (row === undefined) return undefined
  const { max, reserved, role, database } = row
  return {
    maxConnections: max,
    reserved,
    roleLimit: role ?? undefined,
    databaseLimit: database ?? undefined,
  }
}

const SETTINGS = `SELECT name, setting FROM pg_settings WHERE name IN
  ('hot_standby_feedback', 'max_standby_streaming_delay', 'recovery_min_apply_delay', 'primary_slot_name')`

const REPLAY = `SELECT pg_last_wal_replay_lsn()::text AS replayed, pg_is_wal_replay_paused() AS paused`

const RECEIVER = 'SELECT count(*) > 0 AS streaming FROM pg_stat_wal_receiver'

/** Asks a standby how it follows and what it does when reads stand in the way of replay. */
export const inspectStandby = async (client: ClientBase): Promise<StandbyInspection> => {
  const replay = await known(firstRow<{ replayed: string | null; paused: boolean }>(client, REPLAY))
  const receiver = await known(firstRow<{ streaming: boolean }>(client, RECEIVER))
  const rows = (await known(client.query<{ name: string; setting: string }>(SETTINGS)))?.rows ?? []
  const settings = new Map(rows.map(({ name, setting }) => [name, setting]))
  const feedback = settings.get('hot_standby_feedback')
  const milliseconds = (name: string): number | undefined => {
    const text = settings.get(name)
    return text === undefined ? undefined : Number(text)
  }
  return {
    replayed: parseLsn(replay?.replayed),
    replayPaused: replay?.paused,
    // Where there are no positions, replication is the service's own and has no receiver to show.
    streaming: replay === undefined ? undefined : receiver?.streaming,
    hotStandbyFeedback: feedback === undefined ? undefined : feedback === 'on',
    maxStandbyStreamingDelayMs: milliseconds('max_standby_streaming_delay'),
    applyDelayMs: milliseconds('recovery_min_apply_delay'),
    slotName: settings.get('primary_slot_name'),
  }
}

const SLOTS = `SELECT slot_name::text AS name, active, wal_status AS status,
  pg_wal_lsn_diff(pg_current_wal_flush_lsn(), restart_lsn)::float8 AS retained
FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary ORDER BY slot_name`

/** Asks a primary for the slots of its standbys. */
export const inspectSlots = async (
  client: ClientBase,
): Promise<readonly ReplicationSlot[] | undefined> => {
  const answer = await known(
    client.query<{
      name: string
      active: boolean
      status: string | null
      retained: number | null
    }>(SLOTS),
  )
  return answer?.rows.map(({ name, active, status, retained }) => ({
    name,
    active,
    walStatus: status ?? undefined,
    retainedBytes: retained ?? undefined,
  }))
}

/** Whether a primary tells the positions of writes, which sessions need. */
export const tellsPositions = async (client: ClientBase): Promise<boolean> =>
  (await known(
    client.query(
      'SELECT pg_current_wal_flush_lsn(), pg_current_wal_insert_lsn(), pg_walfile_name(pg_current_wal_flush_lsn())',
    ),
  )) !== undefined
