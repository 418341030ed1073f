import type { ClientBase } from 'pg'
import { endOfRecords, parseLsn } from './position.ts'
import type { Lsn, Position } from './position.ts'

/** What a server says of itself. A function that a managed service denies leaves its field `undefined`. */
export interface ServerIdentity {
  /** True on a standby. */
  readonly inRecovery: boolean
  /** Whether transactions are read-only unless they ask for more. */
  readonly readOnly: boolean
  /** The same for all servers that come from one `initdb`; `undefined` when it may not be asked. */
  readonly systemIdentifier: string | undefined
  /** The server's version, such as `'18.4'`. */
  readonly version: string
}

const SYSTEM_IDENTIFIER = 'SELECT system_identifier::text AS id FROM pg_control_system()'

const systemIdentifier = async (client: ClientBase): Promise<string | undefined> => {
  try {
    const { rows } = await client.query<{ id: string }>(SYSTEM_IDENTIFIER)
    return rows[0]?.id
  } catch {
    // Denied to ordinary users by some managed services: unknown, not a fault of the node.
    return undefined
  }
}

/** How far a server has come: what it has flushed, or replayed when it is a standby. */
const POSITION = `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
  ELSE pg_current_wal_flush_lsn() END)::text AS lsn`

/** Asks one server for its position; `undefined` where there is none. */
export const probePosition = async (client: ClientBase): Promise<Lsn | undefined> => {
  const { rows } = await client.query<{ lsn: string | null }>(POSITION)
  return parseLsn(rows[0]?.lsn)
}

/** What positions of writes need beside a number; it changes with a promotion or a setting only. */
export interface WriteFacts {
  readonly systemIdentifier: string | undefined
  readonly timeline: number
  /** Commits of this role in this database do not wait for their flush. */
  readonly asynchronous: boolean
  readonly segmentSize: bigint
}

const WRITE_FACTS = `SELECT pg_walfile_name(pg_current_wal_flush_lsn()) AS file,
  current_setting('synchronous_commit') = 'off' AS asynchronous,
  pg_size_bytes(current_setting('wal_segment_size'))::text AS segment`

/** Asks the primary for the facts that its positions of writes need. */
export const probeWriteFacts = async (client: ClientBase): Promise<WriteFacts> => {
  const { rows } = await client.query<{ file: string; asynchronous: boolean; segment: string }>(
    WRITE_FACTS,
  )
  const { file = '', asynchronous = false, segment = '' } = rows[0] ?? {}
  return {
    systemIdentifier: await systemIdentifier(client),
    // The first eight digits of a WAL file's name are the timeline, right also just after a promotion.
    timeline: Number.parseInt(file.slice(0, 8), 16),
    asynchronous,
    segmentSize: BigInt(segment),
  }
}

const FLUSHED = {
  name: 'segregato_flushed',
  text: 'SELECT pg_current_wal_flush_lsn()::text AS lsn',
}
const INSERTED = {
  name: 'segregato_inserted',
  text: 'SELECT pg_current_wal_insert_lsn()::text AS lsn',
}

/**
 * Asks the primary where everything that has committed by now ends. The flush position is right for
 * every commit that waited for its own flush; one under `synchronous_commit = off` may lie behind
 * it, and needs the insert position.
 *
 * @param asynchronous - some of the commits did not wait for their flush
 */
export const probeWritePosition = async (
  client: ClientBase,
  facts: WriteFacts,
  asynchronous: boolean,
): Promise<Position | undefined> => {
  const late = asynchronous || facts.asynchronous
  const { rows } = await client.query<{ lsn: string }>(late ? INSERTED : FLUSHED)
  const lsn = parseLsn(rows[0]?.lsn)
  if (lsn === undefined) return undefined
  const { systemIdentifier: identifier, timeline, segmentSize } = facts
  return {
    systemIdentifier: identifier,
    timeline,
    lsn: late ? endOfRecords(lsn, segmentSize) : lsn,
  }
}
