import { SETTING_DEFAULTS } from './defaults.ts'
import { SETTING_KEYS, NODE_KEYS } from './keys.ts'
import { nearest, toSnakeCase } from './names.ts'
import { buildNode } from './node.ts'
import type { BuiltNode } from './node.ts'
import type { Reading } from './reading.ts'
import { readSection, valid } from './section.ts'
import { isLoopback } from './ssl.ts'
import { describeFound, isAbsent, quote } from './tree.ts'
import type { Entry, MapTree } from './tree.ts'
import type { ClusterConfig, ClusterSettings, NodeConfig } from './types.ts'

/** What the messages call the place of a configuration. */
export interface Origin {
  readonly environment: string | undefined
  /** `file` as messages show it, or words for an object. */
  readonly name: string
}

const PRIMARY_NAMES = ['master', 'primary'] as const
const FIXED_NAMES: readonly string[] = [...PRIMARY_NAMES, 'settings']

/** Builds the parts of a cluster's configuration from one environment. Mistakes are noted. */
export const buildCluster = (
  map: MapTree,
  origin: Origin,
  reading: Reading,
): Pick<ClusterConfig, 'replicas' | 'settings'> & { readonly primary: NodeConfig | undefined } => {
  const settings = buildSettings(map.entries.get('settings'), reading)
  const primary = buildPrimary(map, origin, reading)
  const replicas = [...map.entries]
    .filter(([name, { value }]) => !FIXED_NAMES.includes(name) && !isAbsent(value))
    .flatMap(([name, entry]) => {
      const node = buildReplica(name, entry, reading)
      return node === undefined ? [] : [node]
    })
  checkReplicas(map, settings, origin, reading)
  if (!settings.allowSameServer && primary !== undefined) {
    checkAddresses([primary, ...replicas], map, reading)
  }
  return {
    primary: primary?.node,
    replicas: Object.freeze(replicas.map(({ node }) => node)),
    settings,
  }
}

const buildSettings = (entry: Entry | undefined, reading: Reading): ClusterSettings => {
  if (entry === undefined || isAbsent(entry.value)) return SETTING_DEFAULTS
  if (entry.value.kind !== 'map') {
    reading.issues.add(
      `found ${describeFound(entry.value)}, expected a map of ${Object.keys(SETTING_KEYS).join(', ')}`,
      entry.value.place,
    )
    return SETTING_DEFAULTS
  }
  const section = readSection(entry.value, SETTING_KEYS, 'settings', reading)
  return Object.freeze({
    balancing: valid(section.balancing) ?? SETTING_DEFAULTS.balancing,
    allowSameServer: valid(section.allow_same_server) ?? SETTING_DEFAULTS.allowSameServer,
    replicaShare: valid(section.replica_share) ?? SETTING_DEFAULTS.replicaShare,
    maxLagMs: valid(section.max_lag_ms) ?? SETTING_DEFAULTS.maxLagMs,
    consistency: valid(section.consistency) ?? SETTING_DEFAULTS.consistency,
    outsideSession: valid(section.outside_session) ?? SETTING_DEFAULTS.outsideSession,
    waitTimeoutMs: valid(section.wait_timeout_ms) ?? SETTING_DEFAULTS.waitTimeoutMs,
    stickyMs: valid(section.sticky_ms) ?? SETTING_DEFAULTS.stickyMs,
    fallbackShare: valid(section.fallback_share) ?? SETTING_DEFAULTS.fallbackShare,
    probe: valid(section.probe) ?? SETTING_DEFAULTS.probe,
    readTimeoutMs: valid(section.read_timeout_ms) ?? SETTING_DEFAULTS.readTimeoutMs,
    writeTimeoutMs: valid(section.write_timeout_ms) ?? SETTING_DEFAULTS.writeTimeoutMs,
    tokenMaxAgeMs: valid(section.token_max_age_ms) ?? SETTING_DEFAULTS.tokenMaxAgeMs,
    onHistoryLost: valid(section.on_history_lost) ?? SETTING_DEFAULTS.onHistoryLost,
  })
}

const buildPrimary = (
  { entries, place }: MapTree,
  { environment, name: where }: Origin,
  reading: Reading,
): BuiltNode | undefined => {
  const { issues } = reading
  const given = PRIMARY_NAMES.flatMap((name) => {
    const entry = entries.get(name)
    return entry === undefined || isAbsent(entry.value) ? [] : [{ name, entry }]
  })
  const [first, second] = given
  if (second !== undefined) {
    issues.add(
      "found both 'master' and 'primary', which mean the same; leave one of them out",
      second.entry.place,
    )
  }
  if (first !== undefined) {
    return buildNode(first.name, 'primary', first.entry.value, first.entry.place, reading)
  }
  const inEnvironment = environment === undefined ? '' : ` in environment '${environment}'`
  issues.add(`Master configuration${inEnvironment} was not found in ${where}`, place)
  return undefined
}

const buildReplica = (
  name: string,
  { place, value }: Entry,
  reading: Reading,
): BuiltNode | undefined => {
  const problem =
    value.kind === 'scalar' && !isUrlLike(value.value) ? misplaced(name) : misspelt(name)
  if (problem !== undefined) {
    reading.issues.add(problem, place)
    // What is in it is checked all the same, so that its mistakes are not reported one run later.
    if (value.kind === 'map' && toSnakeCase(name) !== 'settings') {
      buildNode(name, 'primary', value, place, reading)
    }
    return undefined
  }
  if (!/^[^\p{Cc}]{1,63}$/u.test(name)) {
    reading.issues.add('expected a name of 1 to 63 printable characters', place)
    return undefined
  }
  return buildNode(name, 'replica', value, place, reading)
}

const isUrlLike = (value: unknown): boolean =>
  typeof value === 'string' && /:\/\/|\$\{|<%/.test(value)

/** A name that differs from a fixed one in its spelling only would silently become a replica. */
const misspelt = (name: string): string | undefined => {
  const fixed = FIXED_NAMES.find((fixed) => fixed === toSnakeCase(name) && fixed !== name)
  return fixed === undefined ? undefined : `unknown key ${quote(name)}; write '${fixed}'`
}

/** A key with a plain value can be no node; most likely it belongs elsewhere. */
const misplaced = (name: string): string | undefined => {
  const snake = toSnakeCase(name)
  if (Object.hasOwn(SETTING_KEYS, snake))
    return `unknown key ${quote(name)}; it belongs under 'settings'`
  if (Object.hasOwn(NODE_KEYS, snake))
    return `unknown key ${quote(name)}; it belongs to a node, such as 'master'`
  const near = nearest(name, FIXED_NAMES)
  return near === undefined ? undefined : `unknown key ${quote(name)}; did you mean '${near}'?`
}

const checkReplicas = (
  { entries, place }: MapTree,
  { allowSameServer }: ClusterSettings,
  { name: where }: Origin,
  { issues, source }: Reading,
): void => {
  const others = [...entries].filter(
    ([name, { value }]) => !FIXED_NAMES.includes(name) && !isAbsent(value),
  )
  if (allowSameServer || others.length > 0) return
  const setting = source === 'file' ? 'allow_same_server' : 'allowSameServer'
  issues.add(
    `Replica configuration not found in ${where}. Ensure there is a key other than 'master'. With settings.${setting}: true none is needed`,
    place,
  )
}

/** Two names for one server: the reads of a "replica" would go to the primary, unnoticed. */
const checkAddresses = (
  nodes: readonly BuiltNode[],
  { entries }: MapTree,
  { issues, source }: Reading,
): void => {
  const seen = new Map<string, string>()
  for (const { node, addressKnown } of nodes) {
    if (!addressKnown) continue
    const address = addressOf(node)
    const first = seen.get(address)
    if (first === undefined) {
      seen.set(address, node.name)
      continue
    }
    const setting = source === 'file' ? 'allow_same_server' : 'allowSameServer'
    issues.add(
      `the same address as '${first}'; give it its own host and port, or set settings.${setting}: true if both are meant to be one server`,
      entries.get(node.name)?.place,
    )
  }
}

const addressOf = ({ host, port, database, pgbouncer }: NodeConfig): string => {
  const name = isLoopback(host) ? 'localhost' : host.toLowerCase().replace(/\.$/, '')
  // Behind one pooler, databases may be on different servers.
  return JSON.stringify(pgbouncer ? [name, port, database] : [name, port])
}
