import pg from 'pg'
import type { ClientBase } from 'pg'
import { parseLsn } from './position.ts'
import type { Lsn, Position } from './position.ts'

/** Where one timeline ended and the next one of a history began. */
export interface TimelineEnd {
  readonly timeline: number
  /** The last position of that timeline which the history contains. */
  readonly end: Lsn
}

/** The timelines that led to the present one, the oldest first. */
export type TimelineHistory = readonly TimelineEnd[]

/** One line of a history file: the timeline that ended, where, and why. */
const LINE = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)(?:\s|$)/i

/**
 * Reads the content of a timeline history file, such as `00000002.history`, as PostgreSQL does
 * (`readTimeLineHistory`); `undefined` for what is none.
 */
export const parseTimelineHistory = (content: string): TimelineHistory | undefined => {
  const history: TimelineEnd[] = []
  for (const line of content.split('\n')) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const [, timeline, position] = LINE.exec(line) ?? []
    const end = parseLsn(position)
    const last = history.at(-1)?.timeline ?? 0
    if (timeline === undefined || end === undefined || Number(timeline) <= last) return undefined
    history.push({ timeline: Number(timeline), end })
  }
  return history
}

/**
 * Whether a history holds what a position stands for. `lost`: it was written, and the present primary
 * does not have it; `unknown`: nobody tells where the timelines parted.
 */
export type Containment = 'contained' | 'lost' | 'unknown'

/**
 * Compares a position with the present one of the primary.
 *
 * @param history - of the present timeline; `undefined` where the server does not tell it
 */
export const containment = (
  position: Position,
  present: Position,
  history: TimelineHistory | undefined,
): Containment => {
  if (isForeign(position, present)) return 'lost'
  if (position.timeline === present.timeline) {
    return position.lsn <= present.lsn ? 'contained' : 'lost'
  }
  if (position.timeline > present.timeline) return 'lost'
  // Behind everything that the present timeline has: it cannot be in it.
  if (position.lsn > present.lsn) return 'lost'
  if (history === undefined) return 'unknown'
  const ended = history.find(({ timeline }) => timeline === position.timeline)
  return ended !== undefined && position.lsn <= ended.end ? 'contained' : 'lost'
}

/** Whether two positions are known to belong to different clusters. */
export const isForeign = (one: Position, other: Position): boolean =>
  one.systemIdentifier !== undefined &&
  other.systemIdentifier !== undefined &&
  one.systemIdentifier !== other.systemIdentifier

/** The first timeline has no history, and no file. */
const FIRST_TIMELINE = 1

/** Longer than any history: a line takes about fifty bytes. */
const MAX_BYTES = 1_048_576

/**
 * Asks the primary how its timeline came about. `undefined` where that is denied: `pg_read_file` is for
 * superusers, unless its execution has been granted.
 */
export const probeTimelineHistory = async (
  client: ClientBase,
  timeline: number,
): Promise<TimelineHistory | undefined> => {
  if (timeline === FIRST_TIMELINE) return []
  const file = `pg_wal/${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`
  try {
    const { rows } = await client.query<{ content: string | null }>(
      'SELECT pg_read_file($1, 0, $2, true) AS content',
      [file, MAX_BYTES],
    )
    const content = rows[0]?.content
    return typeof content === 'string' ? parseTimelineHistory(content) : undefined
  } catch (error) {
    if (error instanceof pg.DatabaseError) return undefined
    throw error
  }
}
