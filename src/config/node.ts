import { isIPv6 } from 'node:net'
import { userInfo } from 'node:os'
import { basename, dirname } from 'node:path'
import { NODE_DEFAULTS } from './defaults.ts'
import { NODE_KEYS } from './keys.ts'
import { readNodeSection } from './node-section.ts'
import type { NodeSection } from './node-section.ts'
import { resolvePassword } from './password.ts'
import { INVALID } from './reading.ts'
import type { Reading } from './reading.ts'
import { convertText, describeExpected, fits } from './scalars.ts'
import { valid } from './section.ts'
import { resolveSsl } from './ssl.ts'
import type { Place, Tree } from './tree.ts'
import type { NodeConfig } from './types.ts'

/** A node and whether its address is what the configuration says, not a stand-in after a mistake. */
export interface BuiltNode {
  readonly node: NodeConfig
  readonly addressKnown: boolean
}

/** Builds the configuration of one node. `undefined` when it has none; a result with noted mistakes means nothing. */
export const buildNode = (
  name: string,
  role: NodeConfig['role'],
  tree: Tree,
  place: Place,
  reading: Reading,
): BuiltNode | undefined => {
  const section = readNodeSection(tree, role, reading)
  if (section === undefined) return undefined
  const address = resolveAddress(section, place, reading)
  const username = resolveUsername(section, place, reading)
  const database = valid(section.database) ?? (reading.variables['PGDATABASE'] || username)
  const host = address.host ?? NODE_DEFAULTS.host
  const target = { host, port: address.port, database, username }
  const pgbouncer = valid(section.pgbouncer) ?? NODE_DEFAULTS.pgbouncer
  const node = {
    name,
    role,
    ...target,
    password: resolvePassword(name, target, section, reading),
    pool: valid(section.pool) ?? NODE_DEFAULTS.pool,
    queue: valid(section.queue) ?? NODE_DEFAULTS.queue,
    ssl: resolveSsl(section, address.host, place, reading),
    applicationName:
      valid(section.application_name) ??
      (reading.variables['PGAPPNAME'] || NODE_DEFAULTS.applicationName),
    connectTimeoutMs: valid(section.connect_timeout_ms) ?? NODE_DEFAULTS.connectTimeoutMs,
    idleTimeoutMs: valid(section.idle_timeout_ms) ?? NODE_DEFAULTS.idleTimeoutMs,
    maxLifetimeMs: valid(section.max_lifetime_ms) ?? NODE_DEFAULTS.maxLifetimeMs,
    statementTimeoutMs: valid(section.statement_timeout_ms) ?? NODE_DEFAULTS.statementTimeoutMs,
    // A pooler may give each statement another connection, which does not know the name.
    preparedStatements:
      valid(section.prepared_statements) ?? (NODE_DEFAULTS.preparedStatements && !pgbouncer),
    pgbouncer,
    weight: valid(section.weight) ?? NODE_DEFAULTS.weight,
    tags: Object.freeze(resolveTags(section, reading)),
    variables: Object.freeze({ ...(valid(section.variables) ?? NODE_DEFAULTS.variables) }),
  } satisfies NodeConfig
  if (pgbouncer) noticeStartupParameters(node, reading)
  const addressKnown = address.host !== undefined && section.port?.value !== INVALID
  return { node: Object.freeze(node), addressKnown }
}

interface Address {
  /** `undefined` when it is not known because of a mistake. */
  readonly host: string | undefined
  readonly port: number
}

const resolveAddress = (section: NodeSection, place: Place, reading: Reading): Address => {
  const { variables, issues } = reading
  const port = valid(section.port) ?? defaultPort(section, place, reading)
  if (section.socket !== undefined) {
    if (section.host !== undefined) {
      issues.add('found a host and a socket; leave one of them out', section.socket.place)
    }
    return resolveSocket(section, port, reading)
  }
  if (section.host?.value === INVALID) return { host: undefined, port }
  const given = valid(section.host)
  const host = (given ?? (variables['PGHOST'] || NODE_DEFAULTS.host)).replace(/^\[(.*)\]$/, '$1')
  const problem = hostProblem(host)
  if (problem === undefined)
    return { host: host.toLowerCase() === 'localhost' ? 'localhost' : host, port }
  issues.add(given === undefined ? `PGHOST: ${problem}` : problem, section.host?.place ?? place)
  return { host: undefined, port }
}

/** A socket is named by its directory, or by the file `.s.PGSQL.<port>` in it. */
const resolveSocket = (section: NodeSection, port: number, { issues }: Reading): Address => {
  const socket = valid(section.socket)
  if (socket === undefined) return { host: undefined, port }
  if (!socket.startsWith('/')) {
    issues.add(
      'expected the directory of a Unix socket, such as /var/run/postgresql',
      section.socket?.place,
    )
    return { host: undefined, port }
  }
  const number = /^\.s\.PGSQL\.(\d{1,5})$/.exec(basename(socket))?.[1]
  if (number === undefined) return { host: socket, port }
  if (section.port !== undefined && Number(number) !== port) {
    issues.add(
      "'port' and the socket say different things; leave one of them out",
      section.port.place,
    )
  }
  return { host: dirname(socket), port: Number(number) }
}

/** No part of the host is shown: a URL or a password may stand there by mistake. */
const hostProblem = (host: string): string | undefined => {
  if (host.startsWith('/') || isIPv6(host)) return undefined
  if (host.includes('://')) return 'found a URL, expected a host; a URL goes under the key url'
  if (host.includes(','))
    return 'found several hosts, expected one: each server is a node of its own'
  if (/^[^:]+:\d+$/.test(host))
    return 'found a host with a port, expected the port under the key port'
  return /^[^\s/:@?#[\]\\]+$/.test(host)
    ? undefined
    : 'expected a host name, an address or the directory of a socket'
}

const defaultPort = (
  section: NodeSection,
  place: Place,
  { variables, issues }: Reading,
): number => {
  const text = variables['PGPORT']
  if (section.port !== undefined || !text) return NODE_DEFAULTS.port
  const { kind } = NODE_KEYS.port
  const port = convertText(text, kind)
  if (fits(port, kind, 'file')) return port as number
  issues.add(`PGPORT: expected ${describeExpected(kind)}`, place)
  return NODE_DEFAULTS.port
}

const resolveUsername = (section: NodeSection, place: Place, reading: Reading): string => {
  const given = valid(section.username) ?? reading.variables['PGUSER']
  if (given) return given
  if (section.username?.value === INVALID) return ''
  try {
    return userInfo().username
  } catch {
    // A container may run under a number that has no name.
    reading.issues.add("expected a username: the operating system's user has no name", place)
    return ''
  }
}

const resolveTags = (section: NodeSection, { issues }: Reading): string[] => {
  const tags = [...new Set(valid(section.tags) ?? NODE_DEFAULTS.tags)]
  if (tags.some((tag) => tag === 'primary' || tag === 'replica')) {
    issues.add(
      "expected tags other than 'primary' and 'replica', which name roles",
      section.tags?.place,
    )
  }
  return tags
}

const noticeStartupParameters = (
  { name, statementTimeoutMs, variables }: NodeConfig,
  { notices }: Reading,
): void => {
  if (statementTimeoutMs === undefined && Object.keys(variables).length === 0) return
  notices.add(
    `${name}: with pgbouncer neither statement_timeout_ms nor variables are sent; set them on the server by ALTER ROLE … SET`,
  )
}
