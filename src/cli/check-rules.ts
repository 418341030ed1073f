import type { ReplicationSlot } from '../nodes/inspection.ts'
import { connectionFindings } from './check-connections.ts'
import { SEVERITIES } from './check-facts.ts'
import type { CheckFacts, Finding, NodeAnswer, NodeReport } from './check-facts.ts'
import { formatAddress, formatBytes } from './format.ts'
import { finding } from './finding.ts'
import { standbyFindings } from './check-standby.ts'

/** A node that answered. */
type Answered = NodeReport & { readonly answer: NodeAnswer }

/** Looks at everything and says what is in order and what is not, the worst first. Pure. */
export const findingsOf = (facts: CheckFacts): readonly Finding[] => {
  const answered = facts.nodes.filter(hasAnswer)
  const primary = answered.find(({ role }) => role === 'primary')
  const findings = [
    ...facts.nodes.flatMap((node) => (hasAnswer(node) ? [] : [failureFinding(node)])),
    ...answered.map((node) => roleFinding(node, primary, facts)),
    ...answered.flatMap((node) => (node === primary ? [] : identityFindings(node, primary))),
    ...sameServerFindings(answered, facts),
    ...answered.flatMap(versionFindings),
    ...answered.flatMap((node) => standbyFindings(node, primary?.answer, facts)),
    ...(primary === undefined ? [] : unusedSlotFindings(primary, facts.nodes)),
    ...connectionFindings(answered, facts.processes),
    ...answered.flatMap(unknownFindings),
  ]
  const order = facts.nodes.map(({ name }) => name)
  return findings.toSorted(
    (a, b) =>
      SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
      order.indexOf(a.node) - order.indexOf(b.node),
  )
}

const hasAnswer = (node: NodeReport): node is Answered => node.answer !== undefined

const failureFinding = (node: NodeReport): Finding => {
  const { kind, reason } = node.failure ?? { kind: 'unreachable', reason: 'no answer' }
  const address = formatAddress(node)
  return kind === 'unreachable'
    ? finding(node, 'unreachable', 'problem', `${address} does not answer (${reason})`)
    : finding(node, 'refused', 'problem', `${address} refuses the connection (${reason})`)
}

const roleFinding = (
  node: Answered,
  primary: Answered | undefined,
  { allowSameServer }: CheckFacts,
): Finding => {
  const { server } = node.answer
  const say = (severity: Finding['severity'], message: string): Finding =>
    finding(node, 'role', severity, message)
  if (node.role === 'primary') {
    if (server.inRecovery)
      return say('problem', 'is configured as the master, but is a replica: it refuses every write')
    return server.readOnly
      ? say('problem', 'refuses writes: default_transaction_read_only is on for this user')
      : say('ok', 'accepts writes, as configured')
  }
  if (server.inRecovery) return say('ok', 'is a replica, as configured')
  return allowSameServer && primary !== undefined && isOneServer(node, primary)
    ? say('ok', `is the server of ${primary.name}, as allow_same_server permits`)
    : say('problem', 'is configured as a replica, but is a primary: it would never show a write')
}

const identityFindings = (node: Answered, primary: Answered | undefined): readonly Finding[] => {
  const [own, expected] = [node, primary].map((one) => one?.answer.server.systemIdentifier)
  // What is unknown has a finding of its own.
  if (own === undefined || expected === undefined) return []
  return own === expected
    ? [finding(node, 'identity', 'ok', 'has the data of the master')]
    : [
        finding(
          node,
          'identity',
          'problem',
          `belongs to another cluster: its system identifier is ${own}, that of the master ${expected}`,
        ),
      ]
}

/** One start at one microsecond of one system is one server, whatever its names and addresses are. */
const isOneServer = (a: Answered, b: Answered): boolean => {
  const [one, other] = [a.answer.server, b.answer.server]
  return (
    one.startedAt !== undefined &&
    one.startedAt === other.startedAt &&
    one.systemIdentifier === other.systemIdentifier
  )
}

const sameServerFindings = (
  nodes: readonly Answered[],
  { allowSameServer }: CheckFacts,
): readonly Finding[] => {
  if (allowSameServer) return []
  return nodes.flatMap((node, index) => {
    const first = nodes.slice(0, index).find((other) => isOneServer(node, other))
    if (first === undefined) return []
    const message = `is the same server as ${first.name}, under another name or address`
    return [finding(node, 'same-server', 'problem', message)]
  })
}

/** The first version that reports a change of role or of read-only mode by itself. */
const OLDEST_ADVISED = 14

const versionFindings = (node: Answered): readonly Finding[] => {
  const { version } = node.answer.server
  return Number.parseInt(version, 10) < OLDEST_ADVISED
    ? [finding(node, 'version', 'note', `runs PostgreSQL ${version}; 14 or later is advised`)]
    : []
}

const unusedSlotFindings = (
  primary: Answered,
  nodes: readonly NodeReport[],
): readonly Finding[] => {
  const used = new Set(nodes.map((node) => node.answer?.standby?.slotName))
  // One that did not answer may be the one that uses the slot; it has a finding of its own.
  const isSomebodySilent = nodes.some((node) => !hasAnswer(node))
  return (primary.answer.slots ?? [])
    .filter(({ name, active }) => !active && !used.has(name))
    .map((slot) =>
      finding(
        primary,
        'unused-slot',
        'warning',
        isSomebodySilent
          ? `keeps ${heldBy(slot)} for the slot '${slot.name}', which nobody uses at the moment`
          : `keeps ${heldBy(slot)} for the slot '${slot.name}', which no configured replica uses`,
      ),
    )
}

const heldBy = ({ retainedBytes }: ReplicationSlot): string =>
  retainedBytes === undefined ? 'its log' : `${formatBytes(retainedBytes)} of its log`

const unknownFindings = (node: Answered): readonly Finding[] => {
  const { server, limits, standby, slots, positions } = node.answer
  const unknown = [
    server.systemIdentifier === undefined && 'the system identifier',
    limits === undefined && 'connection limits',
    positions === false && 'the positions of writes (reads of a session go to it for sticky_ms)',
    standby !== undefined && standby.replayed === undefined && UNTOLD,
    standby !== undefined && standby.hotStandbyFeedback === undefined && 'settings of a standby',
    node.role === 'primary' && !server.inRecovery && slots === undefined && 'replication slots',
  ].filter((one) => one !== false)
  return unknown.length === 0
    ? []
    : [
        finding(
          node,
          'unknown',
          'note',
          `does not tell ${node.username} ${listed(unknown)}; what depends on that was not checked`,
        ),
      ]
}

const UNTOLD =
  'the replayed position (for sticky_ms after a write reads of a session do not go to it)'

const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
