import type { NodeConfig } from '../config/types.ts'
import { NodeClient } from '../nodes/client.ts'
import { clientOptions } from '../nodes/options.ts'

/** How long a command waits for a server, in milliseconds. */
export interface Patience {
  /** For a connection. */
  readonly connectMs: number
  /** For each answer. */
  readonly answerMs: number
}

/**
 * Opens one connection to a node, as the library would: to the primary one for writing, since those
 * for reading are read-only on every server. The caller ends it.
 */
export const openConnection = async (
  node: NodeConfig,
  { connectMs, answerMs }: Patience,
): Promise<NodeClient> => {
  const client = new NodeClient({
    ...clientOptions(node, node.role === 'primary' ? 'write' : 'read'),
    connectionTimeoutMillis: Math.min(connectMs, node.connectTimeoutMs),
    query_timeout: answerMs,
  })
  try {
    await client.connect()
    return client
  } catch (error) {
    destroyConnection(client)
    throw error
  }
}

/** Ends a connection without waiting for a server that may not answer. */
export const closeConnection = (client: NodeClient): void => {
  client.end().catch(() => undefined)
  // Gives the farewell a moment; a server that stands still is left anyway.
  setTimeout(() => destroyConnection(client), 500).unref()
}

export const destroyConnection = (client: NodeClient): void => {
  client.connection.stream.destroy()
}
