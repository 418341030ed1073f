import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterConfig, NodeConfig } from '../config/types.ts'
import type { NodeClient } from '../nodes/client.ts'
import {
  inspectLimits,
  inspectServer,
  inspectSlots,
  inspectStandby,
  tellsPositions,
} from '../nodes/inspection.ts'
import type { Lsn } from '../nodes/position.ts'
import { probePosition } from '../nodes/probe.ts'
import { faultOf } from '../routing/failures.ts'
import type { Lag, NodeAnswer, NodeFailure, NodeReport } from './check-facts.ts'
import { closeConnection, destroyConnection, openConnection } from './connection.ts'
import type { Patience } from './connection.ts'
import { formatFailure } from './format.ts'

/** A server that needs longer is of no use to an application either. */
const PATIENCE: Patience = { connectMs: 3_000, answerMs: 5_000 }

/** How long a replica is watched until it has reached where the primary stood. */
const LAG_WATCH_MS = 1_000
const LAG_POLL_MS = 5

/** Connects to every node of a configuration, asks it, and closes the connection. */
export const collectReports = async ({
  primary,
  replicas,
}: ClusterConfig): Promise<readonly NodeReport[]> => {
  const nodes = [primary, ...replicas]
  const clients = new Map<NodeConfig, NodeClient>()
  try {
    const asked = await Promise.all(nodes.map((node) => ask(node, clients)))
    const lags = await measureLags(primary, nodes, asked, clients)
    return nodes.map((node, index) => {
      const { name, role, host, port, username, pool, pgbouncer } = node
      const about = { name, role, host, port, username, pool, pgbouncer }
      const answer = asked[index]
      return answer === undefined || 'kind' in answer
        ? { ...about, failure: answer ?? NO_ANSWER }
        : { ...about, answer: { ...answer, lag: lags.get(node) } }
    })
  } finally {
    for (const client of clients.values()) closeConnection(client)
  }
}

const NO_ANSWER: NodeFailure = { kind: 'unreachable', reason: 'no answer' }

type Asked = Omit<NodeAnswer, 'lag'> | NodeFailure

const ask = async (node: NodeConfig, clients: Map<NodeConfig, NodeClient>): Promise<Asked> => {
  try {
    const client = await openConnection(node, PATIENCE)
    clients.set(node, client)
    const server = await inspectServer(client)
    const limits = await inspectLimits(client)
    return server.inRecovery
      ? {
          server,
          limits,
          standby: await inspectStandby(client),
          slots: undefined,
          positions: undefined,
        }
      : {
          server,
          limits,
          standby: undefined,
          slots: await inspectSlots(client),
          positions: await tellsPositions(client),
        }
  } catch (error) {
    const client = clients.get(node)
    clients.delete(node)
    // An open connection would keep the program running.
    if (client !== undefined) destroyConnection(client)
    return {
      kind: faultOf(error, 'connect').follows.node === 'disable' ? 'refused' : 'unreachable',
      reason: formatFailure(error),
    }
  }
}

/**
 * Lag by this process's clock: how long each replica takes to reach where the primary stood. Only
 * replicas of the primary's own system are compared, as positions of another one mean nothing.
 */
const measureLags = async (
  primary: NodeConfig,
  nodes: readonly NodeConfig[],
  asked: readonly Asked[],
  clients: ReadonlyMap<NodeConfig, NodeClient>,
): Promise<ReadonlyMap<NodeConfig, Lag>> => {
  const serverOf = (node: NodeConfig): NodeAnswer['server'] | undefined => {
    const answer = asked[nodes.indexOf(node)]
    return answer === undefined || 'kind' in answer ? undefined : answer.server
  }
  const lags = new Map<NodeConfig, Lag>()
  const source = clients.get(primary)
  const own = serverOf(primary)
  if (source === undefined || own === undefined || own.inRecovery) return lags
  const since = performance.now()
  const target = await positionOf(source)
  if (target === undefined) return lags
  await Promise.all(
    [...clients].map(async ([node, client]) => {
      const server = serverOf(node)
      if (!server?.inRecovery || server.systemIdentifier !== own.systemIdentifier) return
      const lag = await measureLag(client, target, since)
      if (lag !== undefined) lags.set(node, lag)
    }),
  )
  return lags
}

const measureLag = async (
  client: NodeClient,
  target: Lsn,
  since: number,
): Promise<Lag | undefined> => {
  const first = await positionOf(client)
  if (first === undefined) return undefined
  const bytes = first >= target ? 0 : Number(target - first)
  let position: Lsn | undefined = first
  for (;;) {
    const ms = performance.now() - since
    if (position >= target) return { bytes, ms, caughtUp: true }
    if (ms > LAG_WATCH_MS) return { bytes, ms, caughtUp: false }
    await sleep(LAG_POLL_MS)
    position = await positionOf(client)
    if (position === undefined) return undefined
  }
}

/** A question that fails leaves the lag unknown. */
const positionOf = (client: NodeClient): Promise<Lsn | undefined> =>
  probePosition(client).catch(() => undefined)
