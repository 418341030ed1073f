import { ClusterVerificationError, DeadlineExceededError } from '../errors.ts'
import type { NodeProblem } from '../errors.ts'
import { ask } from '../nodes/ask.ts'
import type { Node } from '../nodes/node.ts'
import type { ServerIdentity } from '../nodes/probe.ts'
import { wrongServer } from '../routing/suitability.ts'
import type { Core } from './core.ts'

/** What `verify()` learned of one node. */
export interface VerifiedNode extends ServerIdentity {
  /** The node's key in the configuration, such as `replica1`. */
  readonly node: string
  /** What the configuration says the node is. */
  readonly role: 'primary' | 'replica'
}

/**
 * Asks every server who it is.
 *
 * @throws ClusterVerificationError that names every node that is wrong
 */
export const verifyCluster = async (core: Core): Promise<VerifiedNode[]> => {
  core.assertOpen()
  await core.use()
  const problems: NodeProblem[] = []
  const verified: VerifiedNode[] = []
  let cause: unknown
  const answers = await Promise.allSettled(core.nodes.map(identify))
  answers.forEach((answer, index) => {
    const node = core.nodes[index]
    if (node === undefined) return
    if (answer.status === 'rejected') {
      cause ??= answer.reason
      problems.push({ node: node.name, problem: describe(answer.reason) })
    } else verified.push({ node: node.name, role: node.config.role, ...answer.value })
  })
  const primary = verified.find(({ role }) => role === 'primary')
  for (const node of verified) {
    const problem = problemOf(node, primary, core.config.settings.allowSameServer)
    if (problem !== undefined) problems.push({ node: node.node, problem })
  }
  if (problems.length > 0) throw new ClusterVerificationError(problems, { cause })
  return verified
}

const identify = async (node: Node): Promise<ServerIdentity> => {
  const { connectTimeoutMs } = node.config
  // Not the connections for reading: these are read-only on every server.
  const answer = await ask(node.control, connectTimeoutMs + ANSWER_MS, (client) =>
    node.probe.ask(client),
  )
  if (answer.kind === 'failed') throw answer.error
  if (answer.kind === 'late') throw new DeadlineExceededError(connectTimeoutMs + ANSWER_MS)
  const { inRecovery, readOnly, systemIdentifier, version } = answer.value
  return { inRecovery, readOnly, systemIdentifier, version }
}

/** A server that lets us in and does not answer in this time is not as it should be. */
const ANSWER_MS = 5_000

const problemOf = (
  node: VerifiedNode,
  primary: VerifiedNode | undefined,
  allowSameServer: boolean,
): string | undefined => {
  if (node.role === 'primary') {
    if (node.inRecovery)
      return 'is configured as the master, but the server is in recovery: it is a replica'
    return node.readOnly
      ? 'is the master, but its sessions are read-only (default_transaction_read_only)'
      : undefined
  }
  const wrong = wrongServer(node, primary, allowSameServer)
  if (wrong === undefined) return undefined
  return wrong === 'not-in-recovery'
    ? 'is configured as a replica, but the server is not in recovery: it would accept writes'
    : `belongs to another cluster than the master: its system identifier is ${node.systemIdentifier}, not ${primary?.systemIdentifier}`
}

const describe = (error: unknown): string => {
  const { code, message } = error as { code?: unknown; message?: string }
  return `cannot be asked (${[code, message].filter(Boolean).join(': ')})`
}
