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

/** Role and version: what every user may ask. */
const ROLE = `SELECT pg_is_in_recovery() AS in_recovery,
  current_setting('transaction_read_only') = 'on' AS read_only,
  current_setting('server_version') AS version`

const SYSTEM_IDENTIFIER = 'SELECT system_identifier::text AS id FROM pg_control_system()'

/** Asks one server who it is. */
export const probeIdentity = async (client: ClientBase): Promise<ServerIdentity> => {
  const role = await client.query<{ in_recovery: boolean; read_only: boolean; version: string }>(
    ROLE,
  )
  const row = role.rows[0]
  return {
    inRecovery: row?.in_recovery ?? false,
    readOnly: row?.read_only ?? false,
    version: row?.version ?? '',
    systemIdentifier: await systemIdentifier(client),
  }
}

export const systemIdentifier = async (client: ClientBase): Promise<string | undefined> => {
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

/**
 * Where everything that has committed by now ends. The flush position is right for every commit that
 * waited for its own flush; one under `synchronous_commit = off` may lie behind it, and needs the
 * insert position.
 */
const WRITE_POSITION = `SELECT pg_current_wal_flush_lsn()::text AS flush, pg_current_wal_insert_lsn()::text AS insert,
  pg_walfile_name(pg_current_wal_flush_lsn()) AS file,
  current_setting('synchronous_commit') = 'off' AS asynchronous,
  (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')::text AS segment`

interface WritePositionRow {
  readonly flush: string
  readonly insert: string
  readonly file: string
  readonly asynchronous: boolean
  readonly segment: string
}

/**
 * Asks the primary for the position that covers all commits so far.
 *
 * @param asynchronous - some of them did not wait for their flush
 */
export const probeWritePosition = async (
  client: ClientBase,
  asynchronous: boolean,
): Promise<Omit<Position, 'systemIdentifier'> | undefined> => {
  const { rows } = await client.query<WritePositionRow>({
    name: 'segregato_position',
    text: WRITE_POSITION,
  })
  const row = rows[0]
  const flush = parseLsn(row?.flush)
  const insert = parseLsn(row?.insert)
  if (row === undefined || flush === undefined || insert === undefined) return undefined
  // The first eight digits of a WAL file's name are the timeline, right also just after a promotion.
  const timeline = Number.parseInt(row.file.slice(0, 8), 16)
  const late = asynchronous || row.asynchronous
  return { timeline, lsn: late ? endOfRecords(insert, BigInt(row.segment)) : flush }
}
