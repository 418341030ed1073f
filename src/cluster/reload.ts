import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import type { ClusterConfigInput } from '../config/input.ts'
import type { ClusterConfig, NodeConfig, SslConfig } from '../config/types.ts'
import { ConfigError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import type { Core } from './core.ts'
import { publish } from './events.ts'

/** What `reload()` takes. */
export interface ReloadOptions {
  /** The environment of the file. @defaultValue the one of `connect()` */
  readonly env?: string
  /** A configuration file's path, or the configuration itself. @defaultValue what `connect()` was given */
  readonly config?: string | ClusterConfigInput
  /** How long statements may go on that run on nodes which have left, in milliseconds. @defaultValue `10_000` */
  readonly timeoutMs?: number
}

/** The nodes of a new configuration: those that stay, and new ones. */
interface Plan {
  readonly nodes: readonly Node[]
  readonly primary: Node
  readonly added: readonly Node[]
  readonly removed: readonly Node[]
}

/**
 * Puts another configuration in place, all at once, and lets what runs on nodes that have left come
 * to its end.
 *
 * @throws ConfigError when its master is a server that the cluster does not know
 */
export const applyConfig = (
  core: Core,
  config: ClusterConfig,
  timeoutMs: number = RUNTIME_LIMITS.drainTimeoutMs,
): Promise<unknown> => {
  const { nodes, primary, added, removed } = planNodes(core, config)
  core.replace(config, nodes, primary, removed)
  if (added.length + removed.length > 0) {
    publish(core.events, 'reload', { added: added.map(nameOf), removed: removed.map(nameOf) })
  }
  return Promise.all(removed.map((node) => drain(core, node, timeoutMs)))
}

const nameOf = ({ name }: Node): string => name

const planNodes = (core: Core, config: ClusterConfig): Plan => {
  const [present, former] = [core.nodes, core.primary]
  const wanted = [config.primary, ...config.replicas]
  if (!present.some((node) => isSameServer(node.config, config.primary))) {
    throw new ConfigError([
      {
        path: config.primary.name,
        message:
          'is another server than the cluster has known so far. A running cluster takes replicas in and out and follows ' +
          'a promoted replica; for another master, open a new cluster with connect() and close this one',
      },
    ])
  }
  const left = new Set(present)
  const take = (fits: (node: Node) => boolean): Node | undefined => {
    const found = [...left].find(fits)
    if (found !== undefined) left.delete(found)
    return found
  }
  // With allow_same_server several nodes are one server: each keeps its own as long as it can.
  const byName = new Map(
    wanted.map((next) => [next, take((node) => node.name === next.name && isKept(node, next))]),
  )
  const added: Node[] = []
  const nodes = wanted.map((next) => {
    const kept = byName.get(next) ?? take((node) => isKept(node, next))
    if (kept !== undefined) {
      kept.configure(next)
      return kept
    }
    const opened = core.open(next)
    added.push(opened)
    return opened
  })
  const primary =
    nodes.find((node) => node === former) ??
    nodes.find((node) => isSameServer(node.config, former.config)) ??
    nodes[0] ??
    former
  return { nodes, primary, added, removed: [...left] }
}

const isSameServer = (one: NodeConfig, other: NodeConfig): boolean =>
  one.host === other.host &&
  one.port === other.port &&
  one.database === other.database &&
  one.username === other.username

/** Whether a node's connections can stay. Number, weight, tags, name, password and age change as they are. */
const isKept = ({ config }: Node, next: NodeConfig): boolean =>
  isSameServer(config, next) &&
  isDeepStrictEqual(connectionOf(config), connectionOf(next)) &&
  isSameSsl(config.ssl, next.ssl)

const connectionOf = ({
  applicationName,
  connectTimeoutMs,
  idleTimeoutMs,
  statementTimeoutMs,
  preparedStatements,
  pgbouncer,
  variables,
}: NodeConfig): object => ({
  applicationName,
  connectTimeoutMs,
  idleTimeoutMs,
  statementTimeoutMs,
  preparedStatements,
  pgbouncer,
  variables,
})

const isSameSsl = (one: false | SslConfig, other: false | SslConfig): boolean => {
  if (one === false || other === false) return one === other
  const [{ key: oneKey, ...oneRest }, { key: otherKey, ...otherRest }] = [one, other]
  return isDeepStrictEqual(oneRest, otherRest) && oneKey?.text() === otherKey?.text()
}

/** What runs may finish within the limit; then the connections close, whatever they do. */
const drain = async (core: Core, node: Node, timeoutMs: number): Promise<void> => {
  const over = new AbortController()
  const finished = Promise.all(node.connections.map((each) => each.retire()))
  await Promise.race([
    finished,
    sleep(timeoutMs, undefined, { ref: false, signal: over.signal }).catch(() => undefined),
  ])
  over.abort()
  for (const each of node.connections) each.destroy()
  core.left(node)
}
