import type { ClientBase } from 'pg'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import { ask } from '../nodes/ask.ts'
import type { Node } from '../nodes/node.ts'
import { faultOf } from '../routing/failures.ts'

/**
 * Asks a server about itself, on the connection that is kept for that. `undefined` when it does not
 * answer in time or with an error: failures are the business of the reads and writes that meet them.
 */
export const askNode = async <T>(
  node: Node,
  timeoutMs: number,
  question: (client: ClientBase) => Promise<T>,
): Promise<T | undefined> => {
  const answer = await ask(node.control, timeoutMs, question)
  return answer.kind === 'answered' ? answer.value : undefined
}

/** Questions that are under way: all who want to know at one moment share the answer. */
const asked = new WeakMap<Node, Promise<boolean>>()

/** Whether a server answers at all. One that has no room for another connection does, too. */
export const isAlive = (node: Node): Promise<boolean> => {
  const present = asked.get(node)
  if (present !== undefined) return present
  const answer = answers(node).finally(() => asked.delete(node))
  asked.set(node, answer)
  return answer
}

const answers = async (node: Node): Promise<boolean> => {
  const answer = await ask(node.control, RUNTIME_LIMITS.unresponsive.answerWithinMs, (client) =>
    client.query('SELECT'),
  )
  if (answer.kind === 'answered') return true
  // On a slow network logging in alone may take longer; what answers at all is alive.
  if (answer.kind === 'late') return answer.heard
  const { node: about } = faultOf(answer.error, 'connect').follows
  return about === 'cool down' || about === 'disable'
}
