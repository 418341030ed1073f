import { expect, test } from 'vitest'
import { ClusterClosedError } from '../../src/errors.ts'
import { failureOf, mark, useFaults } from '../support/faults.ts'

/** C5: a cluster is closed while it is in use. */
const bed = useFaults()

const OURS = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'segregato%'"

const nothingLeft = async (): Promise<void> => {
  for (const server of ['master', 'replica1', 'replica2'] as const)
    await expect.poll(() => bed.on(server, OURS), { timeout: 15_000 }).toEqual([])
}

test('under load: what has begun ends well, what comes later is refused, and no connection stays', async () => {
  const cluster = bed.open()
  const [begun, refused] = [[] as unknown[], [] as unknown[]]
  const load = { running: true }
  const loops = Array.from({ length: 10 }, async (_, at) => {
    const pool = at % 2 === 0 ? cluster.reader : cluster.writer
    while (load.running) {
      await pool.query('SELECT pg_sleep(0.01)').then(
        () => begun.push(at),
        (error: unknown) => {
          refused.push(error)
          load.running = false
        },
      )
    }
  })
  await expect.poll(() => begun.length).toBeGreaterThan(100)
  const [first, second] = [cluster.close(), cluster.close()]
  expect(second).toBe(first)
  await first
  await Promise.all(loops)
  expect(refused.length).toBeGreaterThan(0)
  for (const error of refused) expect(error).toBeInstanceOf(ClusterClosedError)
  await nothingLeft()
  await expect(cluster.session(async () => 1)).rejects.toThrow(ClusterClosedError)
  await expect(cluster.transaction(async () => 1, { retry: true })).rejects.toThrow(
    ClusterClosedError,
  )
})

test('with statements that hang on frozen servers, and again afterwards', async () => {
  const cluster = bed.open()
  const [read, write] = [mark(), mark()]
  const hanging = [
    failureOf(cluster.using('replica1', () => cluster.reader.query(`SELECT pg_sleep(60) ${read}`))),
    failureOf(cluster.writer.query(`SELECT pg_sleep(60) ${write}`)),
    failureOf(cluster.transaction(() => cluster.writer.query('SELECT pg_sleep(60)'))),
  ]
  await bed.running('replica1', read)
  await bed.running('master', write)
  await bed.servers.freeze('replica1')
  await bed.servers.freeze('master')
  await cluster.close({ timeoutMs: 200 })
  for (const error of await Promise.all(hanging)) expect(error).toBeInstanceOf(Error)
  await cluster.close()
  expect(cluster.status().state).toBe('closed')
  await bed.servers.thaw('replica1')
  await bed.servers.thaw('master')
  await nothingLeft()
})
