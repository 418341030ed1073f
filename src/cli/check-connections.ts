import type { ConnectionLimits } from '../nodes/inspection.ts'
import type { Finding, NodeAnswer, NodeReport } from './check-facts.ts'
import { finding } from './finding.ts'
import { counted } from './format.ts'

type Answered = NodeReport & { readonly answer: NodeAnswer }

/** The most connections that so many processes open to a node: its pools and one that watches it. */
export const connectionsNeeded = (
  { role, pool }: Pick<NodeReport, 'role' | 'pool'>,
  processes: number,
): number => processes * ((role === 'primary' ? 2 : 1) * pool + 1)

/** The most that a server gives, and what the limit is called. */
export const connectionsAllowed = ({
  maxConnections,
  reserved,
  roleLimit = Infinity,
  databaseLimit = Infinity,
}: ConnectionLimits): { readonly count: number; readonly limit: string } => {
  const open = maxConnections - reserved
  if (roleLimit <= databaseLimit && roleLimit < open)
    return { count: roleLimit, limit: 'the limit of the role' }
  return databaseLimit < open
    ? { count: databaseLimit, limit: 'the limit of the database' }
    : { count: open, limit: `max_connections = ${maxConnections}, ${reserved} of them reserved` }
}

/** Compares what the processes may open with what each server gives. */
export const connectionFindings = (
  nodes: readonly Answered[],
  processes: number,
): readonly Finding[] =>
  serversOf(nodes).flatMap((group) => {
    const [node] = group
    if (node === undefined) return []
    if (group.some(({ pgbouncer }) => pgbouncer)) {
      const message = 'is reached through PgBouncer, whose limit is not known here'
      return [finding(node, 'connections', 'note', message)]
    }
    const { limits } = node.answer
    if (limits === undefined) return []
    const needed = group.reduce((sum, one) => sum + connectionsNeeded(one, processes), 0)
    const { count, limit } = connectionsAllowed(limits)
    const sum = `${counted(processes, 'process', 'processes')} × ${describeShare(group)}`
    return [
      needed > count
        ? finding(
            node,
            'connections',
            'problem',
            `${sum} = ${needed} connections, more than the ${count} there are (${limit})`,
          )
        : finding(node, 'connections', 'ok', `${needed} of ${count} connections`),
    ]
  })

const describeShare = (group: readonly Answered[]): string => {
  const parts = group.map(({ role, pool }) =>
    role === 'primary' ? `${pool} to write + ${pool} to read + 1` : `${pool} + 1`,
  )
  return `(${parts.join(' + ')})`
}

/** The nodes by the server that they are: one that has several names has all their connections. */
const serversOf = (nodes: readonly Answered[]): readonly (readonly Answered[])[] => {
  const groups = new Map<string, Answered[]>()
  for (const node of nodes) {
    const { startedAt, systemIdentifier } = node.answer.server
    const key = startedAt === undefined ? node.name : `${startedAt} ${systemIdentifier}`
    groups.set(key, [...(groups.get(key) ?? []), node])
  }
  return [...groups.values()]
}
