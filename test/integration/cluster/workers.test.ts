import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/start-cluster.ts'
import { build } from '../../support/built.ts'
import type { Built } from '../../support/built.ts'
import { runEverywhere } from '../../support/everywhere.ts'
import { run } from '../../support/program.ts'

let servers: TestCluster
let built: Built

beforeAll(async () => {
  built = build()
  servers = await startCluster({ replicas: 2 })
  await runEverywhere(servers, 'CREATE TABLE posts (id int PRIMARY KEY)')
  // Whoever is not told what has been written does not see it.
  for (const name of ['replica1', 'replica2']) await servers.pauseReplay(name)
})
afterAll(async () => {
  await servers?.close()
  built?.remove()
})

interface Read {
  readonly ids: readonly number[]
  readonly role: string
}

interface Found {
  readonly pid: number
  readonly sent: unknown
  readonly workers: readonly {
    readonly id: number
    readonly pid: number
    readonly status: number
    readonly read: Read
    readonly without: Read
  }[]
  readonly back: readonly Read[]
}

test('worker threads and worker processes have clusters of their own, and read by token what the others wrote', async () => {
  const program = run([new URL('../../fixtures/workers.mjs', import.meta.url).pathname], {
    env: {
      ...process.env,
      SEGREGATO: built.path('index.js'),
      CONFIG: JSON.stringify({ ...servers.config, settings: { waitTimeoutMs: 20 } }),
    },
  })
  const [text] = await program.line(/^\{"pid".*$/)
  const { pid, workers, back, sent } = JSON.parse(text) as Found
  expect(workers.map(({ id }) => id)).toEqual([2, 3, 4, 5])
  for (const { read, without } of workers) {
    expect(read.ids).toContain(1)
    expect(read.role).toBe('primary')
    expect(without).toEqual({ ids: [], role: 'replica' })
  }
  // No connection of one is another's.
  expect(new Set([pid, ...workers.map((worker) => worker.pid)]).size).toBe(5)
  workers.forEach(({ id }, index) => expect(back[index]?.ids).toContain(id))
  // They end by themselves, with their clusters open.
  expect(workers.map(({ status }) => status)).toEqual([0, 0, 0, 0])
  expect(await program.ended).toBe(0)
  // A cluster cannot be handed over.
  expect(sent).toBe('DataCloneError')
})
