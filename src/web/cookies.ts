/** What a cookie is set with. */
export interface CookieAttributes {
  readonly path: string
  readonly domain: string | undefined
  readonly maxAgeMs: number
  readonly sameSite: 'lax' | 'strict' | 'none'
  readonly secure: boolean
}

/** Node.js refuses headers of more than 16 KiB unless it is told otherwise; a longer text is not looked at. */
const HEADER_MAX_LENGTH = 65_536

/**
 * The first cookie of a name whose value is accepted, from a `Cookie` header. A client may send several
 * cookies of one name, and anything at all in them: what is not accepted is passed over.
 */
export const findCookie = (
  header: string | undefined,
  name: string,
  accepts: (value: string) => boolean,
): string | undefined => {
  if (header === undefined || header.length > HEADER_MAX_LENGTH) return undefined
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue
    const value = pair.slice(equals + 1).trim()
    if (accepts(value)) return value
  }
  return undefined
}

/** The text of a `Set-Cookie` header. Scripts of the page do not get to see the cookie. */
export const formatCookie = (
  name: string,
  value: string,
  { path, domain, maxAgeMs, sameSite, secure }: CookieAttributes,
): string =>
  [
    `${name}=${value}`,
    `Path=${path}`,
    ...(domain === undefined ? [] : [`Domain=${domain}`]),
    `Max-Age=${Math.ceil(maxAgeMs / 1_000)}`,
    'HttpOnly',
    `SameSite=${SAME_SITE[sameSite]}`,
    ...(secure ? ['Secure'] : []),
  ].join('; ')

const SAME_SITE = { lax: 'Lax', strict: 'Strict', none: 'None' } as const
