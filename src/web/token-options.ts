import { WEB_DEFAULTS } from '../config/defaults.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { CookieAttributes } from './cookies.ts'

/** The cookie that carries a session's token. It is always `HttpOnly`. */
export interface TokenCookieOptions {
  /** @defaultValue `'segregato'` */
  readonly name?: string | undefined
  /** The part of the site that gets the cookie. @defaultValue `'/'` */
  readonly path?: string | undefined
  /** The hosts that get the cookie. @defaultValue the host that has set it, and no other */
  readonly domain?: string | undefined
  /**
   * How long a client's reads are bound to what it has written, in milliseconds: longer than replicas may
   * be behind. Rounded up to seconds. @defaultValue `600_000`
   */
  readonly maxAgeMs?: number | undefined
  /** `'none'` needs `secure: true`. @defaultValue `'lax'` */
  readonly sameSite?: 'lax' | 'strict' | 'none' | undefined
  /**
   * Whether the cookie travels over TLS only. `'auto'`: when the request came over TLS to this process;
   * behind a proxy that ends TLS, say `true`. @defaultValue `'auto'`
   */
  readonly secure?: boolean | 'auto' | undefined
}

/** How a session's token travels with requests and responses. */
export interface TokenTransportOptions {
  /** The cookie that carries the token; `false`: none. @defaultValue a cookie called `segregato` */
  readonly cookie?: TokenCookieOptions | false | undefined
  /**
   * The name of a header that carries the token too, for clients that keep no cookies. Of a request's
   * header and cookie the header counts. @defaultValue none
   */
  readonly header?: string | undefined
}

interface CheckedCookie extends Omit<CookieAttributes, 'secure'> {
  readonly name: string
  readonly secure: boolean | 'auto'
}

/** The options, checked and complete. */
export interface TokenTransport {
  readonly cookie: CheckedCookie | undefined
  /** In lower case. */
  readonly header: string | undefined
}

/** The characters of a name in HTTP (RFC 9110, section 5.6.2). */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/
const PATH = /^\/[\x20-\x3a\x3c-\x7e]{0,255}$/
const DOMAIN = /^\.?[0-9A-Za-z][0-9A-Za-z.-]{0,252}$/
const SAME_SITES = ['lax', 'strict', 'none']
/** Browsers keep no cookie longer than 400 days. */
const LONGEST_MS = 34_560_000_000

/** @throws InvalidArgumentError for what would not work, or would end up as another header */
export const checkTransport = ({ cookie, header }: TokenTransportOptions): TokenTransport => {
  if (header !== undefined) check(NAME.test(header), 'header', 'the name of a header', header)
  if (cookie === false && header === undefined) {
    throw new InvalidArgumentError('readYourWrites() needs a cookie or a header for its token')
  }
  return {
    header: header?.toLowerCase(),
    cookie: cookie === false ? undefined : checkCookie(cookie ?? {}),
  }
}

const checkCookie = (options: TokenCookieOptions): CheckedCookie => {
  const { cookie: defaults } = WEB_DEFAULTS
  const { name = defaults.name, path = defaults.path, domain } = options
  const { maxAgeMs = defaults.maxAgeMs, sameSite = defaults.sameSite } = options
  const { secure = defaults.secure } = options
  check(NAME.test(name), 'cookie.name', 'the name of a cookie', name)
  check(PATH.test(path), 'cookie.path', 'a path that starts with /', path)
  if (domain !== undefined) check(DOMAIN.test(domain), 'cookie.domain', 'a domain', domain)
  check(
    typeof maxAgeMs === 'number' && maxAgeMs > 0 && maxAgeMs <= LONGEST_MS,
    'cookie.maxAgeMs',
    `more than 0 and at most ${LONGEST_MS} milliseconds`,
    maxAgeMs,
  )
  check(SAME_SITES.includes(sameSite), 'cookie.sameSite', SAME_SITES.join(', '), sameSite)
  check(
    secure === 'auto' || typeof secure === 'boolean',
    'cookie.secure',
    'true, false or auto',
    secure,
  )
  // Browsers refuse these cookies: the token would never come back.
  const mustBeSecure = sameSite === 'none' || /^__(?:Host|Secure)-/i.test(name)
  check(!mustBeSecure || secure === true, 'cookie.secure', 'true for this cookie', secure)
  const isHostOnly = path === '/' && domain === undefined
  check(
    !/^__Host-/i.test(name) || isHostOnly,
    'cookie.name',
    'another one: __Host- allows only the path / and no domain',
    name,
  )
  return { name, path, domain, maxAgeMs, sameSite, secure }
}

const check = (isValid: boolean, option: string, expected: string, found: unknown): void => {
  if (isValid) return
  throw new InvalidArgumentError(
    `readYourWrites(): ${option} must be ${expected}, not ${JSON.stringify(found)}`,
  )
}
