import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/start-cluster.ts'
import { finalState, historyOf, leftoversOf, refusedWritesOf } from './aftermath.ts'
import { RECOVERY_MS } from './checker/survival.ts'
import { now } from './clock.ts'
import { Crew } from './crew.ts'
import type { Complaint, History } from './history.ts'
import { loadOperations } from './load.ts'
import type { FromProxies, ToProxies } from './messages.ts'
import { FAULT_KINDS, inflict } from './nemesis/nemesis.ts'
import { schedule } from './nemesis/schedule.ts'
import { Stage, USUAL_DELAY_MS } from './nemesis/stage.ts'
import type { Ways } from './nemesis/stage.ts'
import { sample } from './sampler.ts'
import { TABLE } from './worker/library.ts'

export interface RunOptions {
  readonly seed: number
  readonly seconds: number
  readonly workers: number
  readonly sessions: number
  /** Only these faults; all when absent. */
  readonly faults?: readonly string[] | undefined
  /** Waits after the last fault until everything must work again. */
  readonly recovers: boolean
  /** The bundles of the worker and of the proxies. */
  readonly programs: { readonly worker: string; readonly proxies: string }
  /** Where the calls are written down. */
  readonly directory: string
  readonly tell: (line: string) => void
}

/** Everything must work for so long at the end. */
const CALM_MS = 4_000
const MEASURE_MS = 4_000
const STOP_LIMIT_MS = 30_000
const CLOSE_LIMIT_MS = 15_000

/** Starts servers, workers and the nemesis, and gives what they leave behind. */
export const run = async (options: RunOptions): Promise<History> => {
  const servers = await startCluster({
    replicas: 2,
    pool: 5,
    // As few connections as to be filled soon, and conflicts that cancel reads soon.
    settings: { max_connections: '80', max_standby_streaming_delay: '200ms' },
  })
  try {
    return await runOn(servers, options)
  } finally {
    await servers.close()
  }
}

const runOn = async (servers: TestCluster, options: RunOptions): Promise<History> => {
  const { seed, seconds, workers, sessions, programs, directory, tell } = options
  mkdirSync(directory, { recursive: true })
  const ports = Object.fromEntries(
    Object.entries(servers.config).map(([node, { port }]) => [node, port]),
  )
  const { ways, opened, close } = await openWays(programs.proxies, ports)
  const crew = new Crew({
    program: programs.worker,
    directory,
    size: workers,
    sessions,
    seed,
    tokenSecret: randomBytes(16).toString('hex'),
    configFor: (name) =>
      Object.fromEntries(
        Object.entries(servers.config).map(([node, config]) => [
          node,
          { ...config, port: opened[node], applicationName: name },
        ]),
      ),
  })
  const stage = new Stage(servers, ways, crew)
  await stage.withClient(stage.primary, (client) => client.query(TABLE))
  for (const replica of stage.replicas) await servers.setApplyDelay(replica, USUAL_DELAY_MS)
  const sampling = sample(stage)
  await crew.start()
  const measuring = setInterval(() => crew.measure(), MEASURE_MS)
  const calmMs = options.recovers ? RECOVERY_MS + CALM_MS : 1_000
  const kinds = FAULT_KINDS.filter(({ name }) => options.faults?.includes(name) ?? true)
  const lengthMs = Math.max(0, seconds * 1_000 - calmMs)
  const plan = schedule(seed, lengthMs, kinds)
  const startedAt = now()
  const { faults, complaints } = await inflict(stage, plan, lengthMs, tell)
  const healedAt = now()
  await sleep(Math.max(calmMs, seconds * 1_000 - (healedAt - startedAt)))
  clearInterval(measuring)
  tell('stopping the workers')
  await crew.stop(STOP_LIMIT_MS)
  const leftovers = await leftoversOf(stage)
  await crew.close(CLOSE_LIMIT_MS)
  sampling.stop()
  close()
  tell('reading the final state')
  const { timeline, branches } = await historyOf(stage)
  return {
    operations: loadOperations(directory),
    final: await finalState(stage),
    primary: stage.primary,
    timeline,
    ports,
    branches,
    samples: sampling.samples,
    faults,
    healedAt,
    refusedWrites: refusedWritesOf(stage),
    leftovers,
    heaps: crew.heaps,
    complaints: [...complaints, ...crew.complaints] satisfies readonly Complaint[],
  }
}

/** Starts the process that is between the workers and the servers. */
const openWays = async (
  program: string,
  ports: Readonly<Record<string, number>>,
): Promise<{
  readonly ways: Ways
  readonly opened: Readonly<Record<string, number>>
  readonly close: () => void
}> => {
  const child = fork(program)
  const waiting = new Map<number, () => void>()
  let last = 0
  const send = (message: ToProxies): void => void child.send(message)
  const opened = new Promise<Readonly<Record<string, number>>>((resolve) => {
    child.on('message', (message: FromProxies) => {
      if (message.type === 'opened') resolve(message.ports)
      else waiting.get(message.id)?.()
    })
  })
  const ask = (message: (id: number) => ToProxies): Promise<void> => {
    const id = ++last
    send(message(id))
    return new Promise((resolve) => {
      waiting.set(id, () => {
        waiting.delete(id)
        resolve()
      })
    })
  }
  send({ type: 'open', ports })
  return {
    opened: await opened,
    close: () => child.disconnect(),
    ways: {
      set: (node, mode, delayMs = 0) => ask((id) => ({ type: 'set', id, node, mode, delayMs })),
      reset: (node) => ask((id) => ({ type: 'reset', id, node })),
    },
  }
}
