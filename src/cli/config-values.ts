import type { SETTING_DEFAULTS } from '../config/defaults.ts'
import { NODE_KEYS, SETTING_KEYS } from '../config/keys.ts'
import { toCamelCase } from '../config/names.ts'
import { passfilePath } from '../config/passfile.ts'
import { isAbsent } from '../config/tree.ts'
import type { MapTree, Tree } from '../config/tree.ts'
import type { ClusterSettings, NodeConfig } from '../config/types.ts'
import { parseUrl } from '../config/url.ts'
import type { UrlPart } from '../config/url.ts'
import { expandVariables } from '../config/variables.ts'
import { namesIn } from './config-origin.ts'
import type { ConfigOrigin } from './config-origin.ts'
import { shortPath } from './source-line.ts'

/** One effective value and where it comes from. */
export interface ExplainedValue {
  readonly key: string
  readonly value: unknown
  readonly source: string
  /** Nobody has said anything about it. */
  readonly isDefault: boolean
}

type NodeKey = Exclude<keyof typeof NODE_KEYS, 'adapter' | 'url' | 'socket' | 'password_file'>

/** Besides the key itself: what else can say the same. */
const OTHERS: Partial<
  Record<NodeKey, { keys?: readonly string[]; url?: UrlPart; libpq?: string; fallback?: string }>
> = {
  host: { keys: ['socket'], url: 'host', libpq: 'PGHOST' },
  port: { url: 'port', libpq: 'PGPORT' },
  database: { url: 'database', libpq: 'PGDATABASE', fallback: 'default: the user name' },
  username: { url: 'username', libpq: 'PGUSER', fallback: "default: the system's user" },
  password: { keys: ['password_file'], url: 'password', libpq: 'PGPASSWORD' },
  ssl: { keys: ['sslmode', 'sslrootcert'], url: 'sslmode', libpq: 'PGSSLMODE' },
  application_name: { url: 'application_name', libpq: 'PGAPPNAME' },
  connect_timeout_ms: { keys: ['connect_timeout'], url: 'connect_timeout' },
  idle_timeout_ms: { keys: ['idle_timeout'] },
  pgbouncer: { url: 'pgbouncer' },
  variables: { keys: ['schema_search_path'] },
}

const EXPLAINED = (Object.keys(NODE_KEYS) as (keyof typeof NODE_KEYS)[]).filter(
  (key): key is NodeKey => !['adapter', 'url', 'socket', 'password_file'].includes(key),
)

const HIDDEN = '[hidden]'

/** Every value of a node. Secrets are hidden, and of run-time parameters only the names are shown. */
export const explainNode = async (
  node: NodeConfig,
  origin: ConfigOrigin,
): Promise<readonly ExplainedValue[]> => {
  const tree = origin.map.entries.get(node.name)?.value
  return Promise.all(
    EXPLAINED.map(async (key) => {
      const said = sourceOf(key, tree, origin)
      if (key === 'password') return explainPassword(node, said, origin)
      const source = said ?? OTHERS[key]?.fallback ?? 'default'
      return { key, value: valueOf(key, node), source, isDefault: source === 'default' }
    }),
  )
}

/** Every setting of the cluster. */
export const explainSettings = (
  settings: ClusterSettings,
  origin: ConfigOrigin,
): readonly ExplainedValue[] => {
  const tree = origin.map.entries.get('settings')?.value
  return Object.keys(SETTING_KEYS).map((key) => {
    const source = (tree?.kind === 'map' && sourceOfKey(key, tree, origin)) || 'default'
    const name = toCamelCase(key) as keyof typeof SETTING_DEFAULTS
    return { key, value: settings[name], source, isDefault: source === 'default' }
  })
}

const valueOf = (key: Exclude<NodeKey, 'password'>, node: NodeConfig): unknown => {
  if (key === 'ssl') return describeSsl(node.ssl)
  if (key === 'variables') return Object.keys(node.variables)
  return node[toCamelCase(key) as keyof NodeConfig]
}

const describeSsl = (ssl: NodeConfig['ssl']): string => {
  if (ssl === false) return 'off'
  const mode = ssl.verifyHost ? 'verify-full' : ssl.rejectUnauthorized ? 'verify-ca' : 'require'
  return [mode, ssl.ca && 'its own authority', ssl.cert && 'a client certificate']
    .filter(Boolean)
    .join(', ')
}

const explainPassword = async (
  { password }: NodeConfig,
  said: string | undefined,
  { variables }: ConfigOrigin,
): Promise<ExplainedValue> => {
  const key = 'password'
  try {
    const isThere = Boolean(await password.reveal())
    const source = said ?? (isThere ? shortPath(passfilePath(variables)) : 'default')
    return { key, value: isThere ? HIDDEN : undefined, source, isDefault: !isThere }
  } catch (error) {
    // A file that cannot be read: its message names the node and the reason, nothing of the file.
    const reason = error instanceof Error ? error.message : 'cannot be read'
    return { key, value: `cannot be read: ${reason}`, source: said ?? '', isDefault: false }
  }
}

/** Who says what a key of a node is; `undefined`: nobody. */
const sourceOf = (
  key: NodeKey,
  tree: Tree | undefined,
  origin: ConfigOrigin,
): string | undefined => {
  const { keys = [], url, libpq } = OTHERS[key] ?? {}
  if (tree?.kind === 'map') {
    for (const name of [key, ...keys]) {
      const source = sourceOfKey(name, tree, origin)
      if (source !== undefined) return name === key ? source : `${name}, ${source}`
    }
  }
  const urlTree = tree?.kind === 'map' ? tree.entries.get('url')?.value : tree
  if (url !== undefined && urlTree?.kind === 'scalar' && urlSays(url, urlTree.value, origin)) {
    return `url, ${describePlace(urlTree, origin)}`
  }
  return libpq !== undefined && origin.variables[libpq]
    ? `${libpq} of ${origin.originOf(libpq)}`
    : undefined
}

const urlSays = (part: UrlPart, value: unknown, { variables }: ConfigOrigin): boolean => {
  const expansion = typeof value === 'string' ? expandVariables(value, variables) : undefined
  if (expansion === undefined || !('text' in expansion)) return false
  const parsed = parseUrl(expansion.text)
  return 'parts' in parsed && parsed.parts[part] !== undefined
}

const sourceOfKey = (key: string, map: MapTree, origin: ConfigOrigin): string | undefined => {
  const tree = map.entries.get(key)?.value
  return tree === undefined || isAbsent(tree) ? undefined : describePlace(tree, origin)
}

/** The line, or the variables that stand there. */
const describePlace = (tree: Tree, origin: ConfigOrigin): string => {
  const line = `${shortPath(origin.file)}:${tree.place.line}`
  const names = namesIn(tree, origin.variables)
  if (names.length === 0) return line
  const said = names.map((name) => {
    const from = origin.originOf(name)
    return from === 'not set' ? `default of ${name}` : `${name} of ${from}`
  })
  return `${said.join(', ')}, ${line}`
}
