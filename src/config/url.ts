/** What a URL can say, by the names of the keys that say the same. */
export type UrlPart =
  | 'host'
  | 'port'
  | 'database'
  | 'username'
  | 'password'
  | 'application_name'
  | 'connect_timeout'
  | 'pgbouncer'
  | 'sslmode'
  | 'sslrootcert'
  | 'sslcert'
  | 'sslkey'

type UrlParts = Partial<Record<UrlPart, string>>

/** What a URL says, or what is wrong with it. Nothing in it shows a part of the URL but names of parameters. */
export type ParsedUrl =
  { readonly parts: UrlParts; readonly ignored: readonly string[] } | { readonly problem: string }

const SHAPE =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^/?#]*)@)?(?<address>[^/?#]*)(?:\/(?<database>[^?#]*))?(?:\?(?<query>[^#]*))?$/i
const ADDRESS = /^(?<host>\[[^\]]*\]|[^:[\]]*)(?::(?<port>\d*))?$/

const PARAMETERS: ReadonlyMap<string, UrlPart> = new Map([
  ['host', 'host'],
  ['port', 'port'],
  ['dbname', 'database'],
  ['user', 'username'],
  ['password', 'password'],
  ['application_name', 'application_name'],
  ['connect_timeout', 'connect_timeout'],
  ['pgbouncer', 'pgbouncer'],
  ['sslmode', 'sslmode'],
  ['sslrootcert', 'sslrootcert'],
  ['sslcert', 'sslcert'],
  ['sslkey', 'sslkey'],
])

/** Parameters of libpq, `pg` and others that change nothing here. */
const IGNORED = new Set([
  'channel_binding',
  'gssencmode',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'target_session_attrs',
  'uselibpqcompat',
])

const ENCODING = 'characters such as : / ? # @ % in a user name or password must be percent-encoded'

/** Takes a connection URL apart as libpq does. */
export const parseUrl = (url: string): ParsedUrl => {
  const groups = SHAPE.exec(url)?.groups
  if (groups === undefined) {
    return {
      problem: `found no usable URL, expected postgres://user:password@host:port/database; ${ENCODING}`,
    }
  }
  const { user = '', address = '', database = '', query = '' } = groups
  if (address.includes(',')) {
    return {
      problem: 'found a URL with several hosts, expected one: each server is a node of its own',
    }
  }
  const place = ADDRESS.exec(address)?.groups
  if (place === undefined || /[@/]/.test(database)) {
    return { problem: `found a URL whose host, port or database is not usable; ${ENCODING}` }
  }
  const colon = user.indexOf(':')
  const parts: UrlParts = {}
  const problem =
    put(parts, 'username', colon === -1 ? user : user.slice(0, colon)) ??
    put(parts, 'password', colon === -1 ? '' : user.slice(colon + 1)) ??
    put(parts, 'host', (place['host'] ?? '').replace(/^\[(.*)\]$/, '$1')) ??
    put(parts, 'port', place['port'] ?? '') ??
    put(parts, 'database', database)
  if (problem !== undefined) return { problem }
  return readQuery(query, parts)
}

const readQuery = (query: string, parts: UrlParts): ParsedUrl => {
  const ignored: string[] = []
  for (const item of query.split('&').filter(Boolean)) {
    const equals = item.indexOf('=')
    const name = equals === -1 ? item : item.slice(0, equals)
    const value = equals === -1 ? '' : item.slice(equals + 1)
    const part = PARAMETERS.get(name)
    const problem =
      part !== undefined
        ? put(parts, part, value)
        : name === 'ssl'
          ? put(parts, 'sslmode', sslMode(value))
          : IGNORED.has(name)
            ? void ignored.push(name)
            : unknownParameter(name, equals !== -1)
    if (problem !== undefined) return { problem }
  }
  return { parts, ignored }
}

/** `ssl=true` is what `pg` understands. */
const sslMode = (value: string): string =>
  value === 'true' || value === '1'
    ? 'verify-full'
    : value === 'false' || value === '0'
      ? 'disable'
      : value

const put = (parts: UrlParts, part: UrlPart, encoded: string): string | undefined => {
  if (encoded === '') return undefined
  if (parts[part] !== undefined) return `found '${part}' twice in the URL`
  try {
    parts[part] = decodeURIComponent(encoded)
    return undefined
  } catch {
    return `found a URL with a % that starts no character; ${ENCODING}`
  }
}

/** A name is shown only when it looks like one: an unencoded password can end up here. */
const unknownParameter = (name: string, hasValue: boolean): string =>
  hasValue && /^[a-z_]{1,32}$/.test(name)
    ? `found the parameter '${name}' in the URL, known are ${[...PARAMETERS.keys()].join(', ')}`
    : `found a parameter in the URL that is not known; ${ENCODING}`
