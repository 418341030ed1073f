import type { ClientBase } from 'pg'
import { ask } from '../nodes/ask.ts'
import type { Node } from '../nodes/node.ts'

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

/** A server that is alive answers in this time, whatever it is busy with. */
const ALIVE_TIMEOUT_MS = 500

/** Whether a server answers at all. */
export const isAlive = async (node: Node): Promise<boolean> =>
  (await askNode(node, ALIVE_TIMEOUT_MS, async (client) => client.query('SELECT'))) !== undefined
