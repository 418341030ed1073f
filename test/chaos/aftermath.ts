import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseLsn } from '../../src/nodes/position.ts'
import type { Branch, Held, Leftover, Lists } from './history.ts'
import type { Stage } from './nemesis/stage.ts'

/** How long what was held may take to be let go of. */
const LET_GO_MS = 5_000
const CATCH_UP_MS = 60_000

/** What each process holds when nothing runs any more; asked again until it is as it should be. */
export const leftoversOf = async (stage: Stage): Promise<readonly Leftover[]> => {
  const end = performance.now() + LET_GO_MS
  for (;;) {
    const held = await stage.crew.held()
    const backends = await backendsOf(stage)
    const leftovers = [...held].map(([process, one]) => leftover(process, one, backends))
    if (leftovers.every(isClean) || performance.now() > end) return leftovers
    await sleep(100)
  }
}

interface Backend {
  readonly node: string
  readonly name: string
  readonly state: string
}

const backendsOf = async (stage: Stage): Promise<readonly Backend[]> => {
  const found = stage.nodes.map((node) =>
    stage.withClient(node, async (client) => {
      const { rows } = await client.query<{ name: string; state: string | null }>(
        `SELECT application_name AS name, state FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      )
      return rows.map(({ name, state }) => ({ node, name, state: state ?? '' }))
    }),
  )
  return (await Promise.all(found)).flat()
}

const leftover = (
  process: string,
  held: readonly Held[],
  backends: readonly Backend[],
): Leftover => {
  const own = backends.filter(({ name }) => name === process)
  const counts: Record<string, number> = {}
  for (const { node } of own) counts[node] = (counts[node] ?? 0) + 1
  return {
    process,
    held,
    backends: counts,
    idleInTransaction: own.filter(({ state }) => state.startsWith('idle in transaction')).length,
  }
}

const isClean = ({ held, backends, idleInTransaction }: Leftover): boolean =>
  idleInTransaction === 0 &&
  held.every(({ total, idle, waiting }) => total === idle && waiting === 0) &&
  Object.entries(backends).every(
    ([node, count]) =>
      count <= held.filter((one) => one.node === node).reduce((sum, { total }) => sum + total, 0),
  )

/** Waits until all replicas show what the primary holds, and reads all lists of all nodes. */
export const finalState = async (stage: Stage): Promise<ReadonlyMap<string, Lists>> => {
  for (const replica of stage.replicas) await stage.servers.setApplyDelay(replica, 0)
  const lsn = await stage.withClient(stage.primary, async (client) => {
    const { rows } = await client.query<{ lsn: string }>(
      'SELECT pg_current_wal_flush_lsn()::text AS lsn',
    )
    return rows[0]?.lsn
  })
  const states = stage.nodes.map((node) =>
    stage.withClient(node, async (client) => {
      const end = performance.now() + CATCH_UP_MS
      const reached = `SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= $1::pg_lsn AS done`
      while ((await client.query<{ done: boolean }>(reached, [lsn])).rows[0]?.done !== true) {
        if (performance.now() > end) throw new Error(`${node} does not catch up with ${lsn}`)
        await sleep(50)
      }
      const { rows } = await client.query<{ k: string; v: number[] }>('SELECT k, v FROM la')
      return [node, new Map(rows.map(({ k, v }) => [k, v]))] as const
    }),
  )
  return new Map(await Promise.all(states))
}

/** The primary's timeline and those that led to it. */
export const historyOf = async (
  stage: Stage,
): Promise<{ readonly timeline: number; readonly branches: readonly Branch[] }> => {
  const file = await stage.withClient(stage.primary, async (client) => {
    const { rows } = await client.query<{ file: string }>(
      'SELECT pg_walfile_name(pg_current_wal_lsn()) AS file',
    )
    return rows[0]?.file ?? ''
  })
  const digits = file.slice(0, 8)
  const path = join(stage.servers.directory, stage.primary, 'pg_wal', `${digits}.history`)
  const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const branches = text.split('\n').flatMap((line): Branch[] => {
    const [, timeline, lsn] = /^(\d+)\t([0-9A-F]+\/[0-9A-F]+)\t/.exec(line) ?? []
    const end = parseLsn(lsn)
    return end === undefined ? [] : [{ timeline: Number(timeline), end }]
  })
  return { timeline: Number.parseInt(digits, 16), branches }
}

const REFUSED =
  /ERROR: {2}cannot execute (?:INSERT|UPDATE|DELETE) (?:in a read-only transaction|during recovery)/g

/** How many writes each replica has refused, from its log. */
export const refusedWritesOf = (stage: Stage): Readonly<Record<string, number>> =>
  Object.fromEntries(
    stage.replicas.map((node) => {
      const path = join(stage.servers.directory, `${node}.log`)
      const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
      return [node, text.match(REFUSED)?.length ?? 0]
    }),
  )
