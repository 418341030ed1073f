import type { Cluster } from '../cluster/cluster.ts'
import type { OpenSession } from '../cluster/session.ts'
import { WEB_DEFAULTS } from '../config/defaults.ts'
import { InvalidArgumentError } from '../errors.ts'
import { TOKEN_MAX_LENGTH } from '../routing/token.ts'
import { findCookie, formatCookie } from './cookies.ts'
import { checkTransport } from './token-options.ts'
import type { TokenTransportOptions } from './token-options.ts'

/** What requests are read with and responses are written with. */
export interface ReadYourWritesOptions extends TokenTransportOptions {
  /**
   * Whether a request that has only read gives out a token too, so that a client's reads do not go
   * back in time from one process to another. Each response then waits for one question to the
   * replica that was read from, and has a `Set-Cookie` header. @defaultValue `false`
   */
  readonly monotonicReads?: boolean | undefined
  /**
   * How long a response that has written is held back for its token, in milliseconds; then it leaves
   * without one. @defaultValue `1_000`
   */
  readonly timeoutMs?: number | undefined
  /**
   * Called when a request has written and its response leaves without a token, since the primary has
   * not told its position in time or failed at it: the client's next read may miss the write.
   */
  readonly onTokenMissing?: ((cause: unknown) => void) | undefined
}

/** The part of a cluster that opens sessions. */
export type SessionSource = Pick<Cluster, 'session'>

/** One header of a response. */
export interface Field {
  readonly name: string
  readonly value: string
  /** Beside headers of the same name, not in place of them. */
  readonly isAdded: boolean
}

/** The token's way in and out, the same for each framework. */
export interface Exchange {
  /** The token of a request; what cannot be one is none. */
  tokenOf(header: (name: string) => string | string[] | undefined): string | undefined
  /** Whether a response has to wait for a token. Known at once. */
  isNeeded(session: OpenSession): boolean
  /** The headers that give the session's token to the client. Never rejects. */
  fieldsOf(session: OpenSession, isEncrypted: boolean): Promise<readonly Field[]>
}

/** What a token may look like; whether it is one of ours, the cluster finds out. */
const FORM = new RegExp(`^[\\w.-]{1,${TOKEN_MAX_LENGTH}}$`)
const hasForm = (value: string): boolean => FORM.test(value)

/** @throws InvalidArgumentError for options that would not work */
export const createExchange = (options: ReadYourWritesOptions): Exchange => {
  const { cookie, header } = checkTransport(options)
  const { monotonicReads = false, timeoutMs = WEB_DEFAULTS.tokenTimeoutMs } = options
  if (!(typeof timeoutMs === 'number' && timeoutMs > 0 && timeoutMs < 2 ** 31)) {
    throw new InvalidArgumentError(
      `readYourWrites(): timeoutMs must be a positive number of milliseconds, not ${timeoutMs}`,
    )
  }
  return {
    tokenOf: (headerOf) => {
      const own = header === undefined ? undefined : headerOf(header)
      if (typeof own === 'string' && hasForm(own)) return own
      if (cookie === undefined) return undefined
      const cookies = headerOf('cookie')
      return typeof cookies === 'string' ? findCookie(cookies, cookie.name, hasForm) : undefined
    },
    isNeeded: ({ hasWritten, hasRead }) => hasWritten || (monotonicReads && hasRead),
    fieldsOf: async (session, isEncrypted) => {
      const found = await within(timeoutMs, session.movedToken())
      if ('missing' in found && session.hasWritten) tell(options.onTokenMissing, found.missing)
      const { token } = found
      if (token === undefined) return []
      const fields: Field[] = []
      if (header !== undefined) fields.push({ name: header, value: token, isAdded: false })
      if (cookie !== undefined) {
        const secure = cookie.secure === 'auto' ? isEncrypted : cookie.secure
        const value = formatCookie(cookie.name, token, { ...cookie, secure })
        fields.push({ name: 'Set-Cookie', value, isAdded: true })
      }
      return fields
    },
  }
}

/** What came of asking for a token; a response must not wait for ever. */
interface Found {
  readonly token?: string | undefined
  readonly missing?: unknown
}

const within = async (timeoutMs: number, asked: Promise<string | undefined>): Promise<Found> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Found>((resolve) => {
    timer = setTimeout(() => resolve({ missing: undefined }), timeoutMs)
  })
  const found = asked.then(
    (token): Found => ({ token }),
    (error: unknown): Found => ({ missing: error }),
  )
  const first = await Promise.race([found, late])
  clearTimeout(timer)
  return first
}

/** An error of the application's own function must not keep the response back. */
const tell = (listener: ReadYourWritesOptions['onTokenMissing'], cause: unknown): void => {
  try {
    listener?.(cause)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}
