/** A log sequence number as one number: `16/B374D848` is 0x16_B374D848. */
export type Lsn = bigint

const FORMAT = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i

/** Reads PostgreSQL's notation of a log sequence number; `undefined` for NULL and for anything else. */
export const parseLsn = (text: string | null | undefined): Lsn | undefined => {
  const [, high, low] = FORMAT.exec(text ?? '') ?? []
  if (high === undefined || low === undefined) return undefined
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

/** PostgreSQL's notation of a log sequence number. */
export const formatLsn = (lsn: Lsn): string =>
  `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase()

const PAGE = 8192n
const PAGE_HEADER = 24n
const SEGMENT_HEADER = 40n

/**
 * The position behind the last record, from the insert position. At the start of a page or of a
 * segment the insert position lies behind the page's header, where a standby that has replayed
 * everything does not get before the next record comes: the header is taken off. 40 on any other
 * page is the end of a real record. (`XLogLongPHD` and `XLogPageHeaderData` in PostgreSQL's source.)
 */
export const endOfRecords = (insert: Lsn, segmentSize: bigint): Lsn => {
  if (insert % segmentSize === SEGMENT_HEADER) return insert - SEGMENT_HEADER
  if (insert % PAGE === PAGE_HEADER) return insert - PAGE_HEADER
  return insert
}

/** How far a write or a server has come. A log sequence number alone does not order history. */
export interface Position {
  /** `undefined` where the server does not tell it. */
  readonly systemIdentifier: string | undefined
  readonly timeline: number
  readonly lsn: Lsn
}

/**
 * Where somebody is who has written and has not been told how far that is: beyond what any server
 * reaches. Travels in tokens only.
 */
export const UNKNOWN_LSN: Lsn = 0xffff_ffff_ffff_ffffn

/** The later of two positions; a newer timeline is later than any position of an older one. */
export const laterOf = (one: Position | undefined, other: Position): Position => {
  if (one === undefined || other.timeline > one.timeline) return other
  return other.timeline === one.timeline && other.lsn > one.lsn ? other : one
}
