import type { ClientBase } from 'pg'
import { PositionQuestion } from './position-question.ts'
import { endOfRecords } from './position.ts'
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
const POSITION = new PositionQuestion(
  'segregato_position',
  `SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
  ELSE pg_current_wal_flush_lsn() END`,
)

/** Asks one server for its position; `undefined` where there is none. */
export const probePosition = (client: ClientBase): Promise<Lsn | undefined> => POSITION.ask(client)

/**
 * The timeline that a standby's replay follows: that of the log it receives, which it takes only when
 * it leads on from what it has replayed, or, where that may not be asked, the one that it is known to
 * have reached. That one is up to a checkpoint late after a promotion, never ahead.
 */
const REPLAYED_TIMELINE = `SELECT CASE WHEN pg_is_in_recovery() THEN greatest(
    (SELECT received_tli FROM pg_stat_wal_receiver),
    (SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT min_recovery_end_timeline FROM pg_control_recovery()))
  ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int END AS timeline`

/** Asks one server for the timeline that its position belongs to. */
export const probeReplayedTimeline = async (client: ClientBase): Promise<number | undefined> => {
  const { rows } = await client.query<{ timeline: number | null }>(REPLAYED_TIMELINE)
  return rows[0]?.timeline ?? undefined
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

/** On a connection that has written: what it has set for itself counts. */
const WRITTEN = new PositionQuestion(
  'segregato_written',
  `SELECT CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()
  ELSE pg_current_wal_flush_lsn() END`,
)
const FLUSHED = new PositionQuestion('segregato_flushed', 'SELECT pg_current_wal_flush_lsn()')
const INSERTED = new PositionQuestion('segregato_inserted', 'SELECT pg_current_wal_insert_lsn()')

/**
 * The question for a write's position that is sent on the connection of the write.
 *
 * @param asynchronous - the write did not wait for its flush, though its connection does now
 */
export const writeQuestion = (asynchronous: boolean): PositionQuestion =>
  asynchronous ? INSERTED : WRITTEN

/** A position from the answer. No record ends where the header of a page does, so a flushed one stays as it is. */
export const positionAt = (facts: WriteFacts, lsn: Lsn): Position => ({
  systemIdentifier: facts.systemIdentifier,
  timeline: facts.timeline,
  lsn: endOfRecords(lsn, facts.segmentSize),
})

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
  const question = asynchronous || facts.asynchronous ? INSERTED : FLUSHED
  const lsn = await question.ask(client)
  return lsn === undefined ? undefined : positionAt(facts, lsn)
}
