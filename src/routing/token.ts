import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { formatLsn, parseLsn, UNKNOWN_LSN } from '../nodes/position.ts'
import type { Position } from '../nodes/position.ts'
import { isForeign } from '../nodes/timeline-history.ts'

/** The keys that sign tokens: the first signs, all verify. */
export interface TokenKey {
  /** Stands in the token; 1 to 8 letters or digits. */
  readonly id: string
  /** At least 16 characters or bytes, the same in all processes that take each other's tokens. */
  readonly secret: string | Uint8Array
}

/** What a valid token says. */
export interface TokenContent {
  readonly position: Position
  /** Seconds since 1970, by the clock of the process that signed it. */
  readonly issuedAt: number
}

/** Longer texts are no tokens; they are not even looked at. */
export const TOKEN_MAX_LENGTH = 128

/** Half of HMAC-SHA-256, which is enough against forgery and keeps a token short (RFC 2104, section 5). */
const SIGNATURE_BYTES = 16
const FORMAT =
  /^s1\.([A-Za-z0-9]{1,8})\.(\d{0,20})\.([0-9a-f]{1,8})\.([0-9A-F]{1,8})-([0-9A-F]{1,8})\.([0-9a-z]{1,9})\.([A-Za-z0-9_-]{22})$/

/** A key for one process, when the application names none: its tokens mean nothing to others. */
export const randomKey = (): TokenKey => ({ id: 'p', secret: randomBytes(32) })

const sign = (body: string, { secret }: TokenKey): string =>
  createHmac('sha256', secret)
    .update(body)
    .digest()
    .subarray(0, SIGNATURE_BYTES)
    .toString('base64url')

/** A position as signed ASCII text of at most 128 characters, to travel in a cookie, a header or a job. */
export const signToken = ({ position, issuedAt }: TokenContent, key: TokenKey): string => {
  const { systemIdentifier = '', timeline, lsn } = position
  const body = [
    's1',
    key.id,
    systemIdentifier,
    timeline.toString(16),
    formatLsn(lsn).replace('/', '-'),
    issuedAt.toString(36),
  ].join('.')
  return `${body}.${sign(body, key)}`
}

/** What a token says, or `undefined` when it is none of ours: too long, malformed, unknown key, wrong signature. */
export const readToken = (token: unknown, keys: readonly TokenKey[]): TokenContent | undefined => {
  if (typeof token !== 'string' || token.length > TOKEN_MAX_LENGTH) return undefined
  const [, id, system, timeline, high, low, issuedAt, signature] = FORMAT.exec(token) ?? []
  const key = keys.find((candidate) => candidate.id === id)
  if (key === undefined || signature === undefined) return undefined
  // As text: several texts decode to the same bytes, and only one of them is ours.
  const expected = Buffer.from(sign(token.slice(0, token.lastIndexOf('.')), key))
  const given = Buffer.from(signature)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
  const lsn = parseLsn(`${high}/${low}`)
  if (lsn === undefined) return undefined
  return {
    position: {
      systemIdentifier: system || undefined,
      timeline: Number.parseInt(timeline ?? '', 16),
      lsn,
    },
    issuedAt: Number.parseInt(issuedAt ?? '', 36),
  }
}

/** Why a token that we have signed cannot be honoured. */
export type TokenProblem = 'too-old' | 'from-the-future' | 'foreign' | 'unreached'

/** Servers whose clocks differ by more than this are not run. */
const CLOCK_SKEW_MS = 300_000

/**
 * Judges a valid token by its age and by what the primary has reached; `undefined` when nothing speaks
 * against it. A position of another timeline is a question of histories, not of this.
 *
 * @param nowMs - milliseconds since 1970, by the clock of this process
 * @param present - how far the primary has come, what is not flushed included; `undefined`: not known
 */
export const tokenProblem = (
  { issuedAt, position }: TokenContent,
  { nowMs, maxAgeMs, present }: { nowMs: number; maxAgeMs: number; present: Position | undefined },
): TokenProblem | undefined => {
  const ageMs = nowMs - issuedAt * 1_000
  if (ageMs > maxAgeMs + CLOCK_SKEW_MS) return 'too-old'
  if (ageMs < -CLOCK_SKEW_MS) return 'from-the-future'
  if (present === undefined) return undefined
  if (isForeign(position, present)) return 'foreign'
  if (position.timeline !== present.timeline || position.lsn <= present.lsn) return undefined
  return position.lsn === UNKNOWN_LSN ? undefined : 'unreached'
}
