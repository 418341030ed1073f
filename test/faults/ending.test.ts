import { expect } from 'vitest'
import type { Cluster } from '../../src/cluster/cluster.ts'
import type { DurabilityEvent } from '../../src/cluster/events.ts'
import { EXECUTE } from '../../src/cluster/statement.ts'
import { ConfigError, WriteOutcomeUnknownError } from '../../src/errors.ts'
import { announced, failureOf, mark, row, useFaults } from '../support/faults.ts'

/** Connections that end, are lost or fall silent while somebody uses them. */
const bed = useFaults({ max_standby_streaming_delay: '100ms' })

const stored = async (id: number): Promise<boolean> =>
  (await bed.on('master', 'SELECT FROM posts WHERE id = $1', [id])).length === 1

const total = (marked: string): number =>
  Object.values(bed.runs(marked)).reduce((sum, count) => sum + count, 0)

row(
  'connection ended by the server',
  'a read is repeated, a write is unknown, an alive node stays',
  async () => {
    const cluster = bed.open()
    const seen = announced(cluster)
    const [read, write] = [mark(), mark()]
    const reading = cluster.reader.query(`SELECT pg_sleep(1.5) ${read}`)
    await bed.on('replica1', 'SELECT pg_terminate_backend($1)', [
      await bed.running('replica1', read),
    ])
    expect((await reading).routing).toMatchObject({ node: 'replica2', reason: 'retry' })
    expect(bed.runs(read)).toEqual({ master: 0, replica1: 1, replica2: 1 })
    const writing = failureOf(
      cluster.writer[EXECUTE]({ text: `INSERT INTO posts SELECT 1 FROM pg_sleep(60) ${write}` }),
    )
    await bed.on('master', 'SELECT pg_terminate_backend($1)', [await bed.running('master', write)])
    expect(await writing).toBeInstanceOf(WriteOutcomeUnknownError)
    expect(await writing).toMatchObject({
      node: 'master',
      cause: { code: '57P01' },
      durability: undefined,
    })
    expect(bed.runs(write)).toEqual({ master: 1, replica1: 0, replica2: 0 })
    expect(seen).toEqual([])
  },
)

row('connection lost', 'a read is repeated, a write is unknown and never sent again', async () => {
  const cluster = bed.open({}, {}, ['master', 'replica1'])
  const [read, write] = [mark(), mark()]
  bed.proxies.replica1.resetAt(read)
  const { routing } = await cluster.reader.query(`SELECT 1 ${read}`)
  expect(routing).toMatchObject({ node: 'replica2', reason: 'retry' })
  expect(bed.runs(read)).toEqual({ master: 0, replica1: 1, replica2: 1 })
  bed.proxies.master.resetAt(write)
  const error = await failureOf(cluster.writer.query(`INSERT INTO posts VALUES (2) ${write}`))
  expect(error).toBeInstanceOf(WriteOutcomeUnknownError)
  expect(bed.runs(write)).toEqual({ master: 1, replica1: 0, replica2: 0 })
  expect(await stored(2)).toBe(true)
})

row(
  'connection lost before sending',
  'nothing was sent: a read is repeated, a write has failed',
  async () => {
    let doomed: string | undefined = 'replica1'
    // Ends the connection after it was made and before it is used.
    const verify = (client: unknown, done: (error?: Error) => void): void => {
      const { node, processID, once } = client as {
        node: { name: string }
        processID: number
        once: Function
      }
      if (node.name !== doomed) return done()
      once.call(client, 'end', () => done())
      void bed.on(node.name as 'replica1', 'SELECT pg_terminate_backend($1)', [processID])
    }
    const cluster = bed.open({}, { pool: { verify } })
    const read = mark()
    expect((await cluster.reader.query(`SELECT 1 ${read}`)).routing.node).toBe('replica2')
    expect(bed.runs(read)).toEqual({ master: 0, replica1: 0, replica2: 1 })
    doomed = 'master'
    const error = await failureOf(cluster.writer[EXECUTE]({ text: 'INSERT INTO posts VALUES (3)' }))
    expect(error).not.toBeInstanceOf(WriteOutcomeUnknownError)
    expect(error).toMatchObject({ message: expect.stringContaining('not queryable') })
    expect(await stored(3)).toBe(false)
    doomed = undefined
  },
)

row('session timed out', 'an idle connection is replaced, a transaction has failed', async () => {
  const short = {
    variables: { idle_session_timeout: '100ms', idle_in_transaction_session_timeout: '100ms' },
  }
  const cluster = bed.open({ master: short, replica1: short, replica2: short })
  const seen = announced(cluster)
  await cluster.reader.query('SELECT 1')
  await cluster.writer.query('SELECT 1')
  await expect.poll(() => cluster.reader.totalCount + cluster.writer.totalCount).toBe(0)
  await cluster.reader.query('SELECT 1')
  const error = await failureOf(
    cluster.transaction(async () => {
      await cluster.writer.query('INSERT INTO posts VALUES (4)')
      const mine = "SELECT FROM pg_stat_activity WHERE state = 'idle in transaction'"
      await expect.poll(() => bed.on('master', mine)).toEqual([])
      await cluster.writer.query('SELECT 1')
    }),
  )
  expect(error).not.toBeInstanceOf(WriteOutcomeUnknownError)
  expect(await stored(4)).toBe(false)
  expect(seen).toEqual([])
})

row(
  'database dropped',
  'the error is the caller’s, once there is nothing to read from',
  async () => {
    await bed.on('master', 'CREATE DATABASE passing')
    await bed.replicated()
    const at = { database: 'passing' }
    const cluster = bed.open({ master: at, replica1: at, replica2: at })
    const seen = announced(cluster)
    await Promise.all([cluster.reader.query('SELECT 1'), cluster.reader.query('SELECT 1')])
    await bed.on('master', 'DROP DATABASE passing WITH (FORCE)')
    await expect.poll(() => cluster.reader.totalCount, { timeout: 15_000 }).toBe(0)
    expect(seen.filter((event) => event.includes('quarantined'))).toEqual([])
    expect(await failureOf(cluster.reader.query('SELECT 1'))).toBeInstanceOf(ConfigError)
  },
)

/** Commits wait for a standby that is not there, until the test is over. */
const withHangingCommits = async (
  run: (cluster: Cluster, events: DurabilityEvent[]) => Promise<void>,
) => {
  const cluster = bed.open()
  const events: DurabilityEvent[] = []
  cluster.events.on('durability', (event) => events.push(event))
  await cluster.writer.query('SELECT 1')
  await bed.on('master', "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
  await bed.on('master', 'SELECT pg_reload_conf()')
  await expect
    .poll(() => bed.on('master', 'SHOW synchronous_standby_names'))
    .toEqual([{ synchronous_standby_names: 'nobody' }])
  try {
    await commitsHang()
    await run(cluster, events)
  } finally {
    await bed.on('master', 'ALTER SYSTEM RESET synchronous_standby_names')
    await bed.on('master', 'SELECT pg_reload_conf()')
  }
}

/** A session knows the setting before the checkpointer has told all that commits wait: tries until one does. */
const commitsHang = async (): Promise<void> => {
  const client = await bed.client('master')
  const [own] = (await client.query('SELECT pg_backend_pid() AS pid')).rows
  const waits = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = ${own.pid}`
  await expect
    .poll(
      async () => {
        const ended = new AbortController()
        const commit = client
          .query("SELECT pg_logical_emit_message(true, 'test', '')")
          .finally(() => ended.abort())
        let waited = false
        while (!ended.signal.aborted && !waited) waited = (await bed.on('master', waits)).length > 0
        await commit
        return waited
      },
      { timeout: 15_000 },
    )
    .toBe(true)
}

/** Waits for the process that waits for a standby. */
const hanging = async (): Promise<number> => {
  let pid: number | undefined
  const waiting =
    "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'segregato'"
  await expect
    .poll(async () => (pid = (await bed.on<{ pid: number }>('master', waiting))[0]?.pid), {
      timeout: 15_000,
    })
    .toBeDefined()
  return pid!
}

row('synchronous wait cancelled', 'the write is done, and not called durable', () =>
  withHangingCommits(async (cluster, events) => {
    const write = cluster.writer.query('INSERT INTO posts VALUES (5)')
    await bed.on('master', 'SELECT pg_cancel_backend($1)', [await hanging()])
    expect((await write).routing).toMatchObject({ node: 'master', durability: 'local' })
    expect(await stored(5)).toBe(true)
    expect(events).toEqual([{ node: 'master', durability: 'local' }])
    const transaction = cluster.transaction(() =>
      cluster.writer.query('INSERT INTO posts VALUES (6)'),
    )
    await bed.on('master', 'SELECT pg_cancel_backend($1)', [await hanging()])
    await transaction
    expect(events).toHaveLength(2)
    // A deadline cancels the wait as well.
    const late = await cluster.writer[EXECUTE](
      { text: 'INSERT INTO posts VALUES (7)' },
      { timeoutMs: 2_000 },
    )
    expect(late.routing.durability).toBe('local')
    // Nothing of it sticks to the connection.
    expect((await cluster.writer.query('SELECT 1')).routing).not.toHaveProperty('durability')
  }),
)

row('synchronous wait terminated', 'the write is unknown, and known to be on the primary', () =>
  withHangingCommits(async (cluster, events) => {
    const failed = failureOf(cluster.writer.query('INSERT INTO posts VALUES (8)'))
    await bed.on('master', 'SELECT pg_terminate_backend($1)', [await hanging()])
    expect(await failed).toBeInstanceOf(WriteOutcomeUnknownError)
    expect(await failed).toMatchObject({ durability: 'local' })
    expect(await stored(8)).toBe(true)
    expect(events).toEqual([{ node: 'master', durability: 'local' }])
  }),
)

row('announced end', 'a shutdown at once, and the crash of another process', async () => {
  const cluster = bed.open()
  const [read, write] = [mark(), mark()]
  const reading = cluster.reader.query(`SELECT pg_sleep(1.5) ${read}`)
  await bed.running('replica1', read)
  process.kill(bed.postmaster('replica1'), 'SIGQUIT')
  expect((await reading).routing).toMatchObject({ node: 'replica2', reason: 'retry' })
  const writing = failureOf(
    cluster.writer.query(`INSERT INTO posts SELECT 9 FROM pg_sleep(60) ${write}`),
  )
  await bed.running('master', write)
  const crashing = await bed.client('master')
  const [victim] = (await crashing.query('SELECT pg_backend_pid() AS pid')).rows
  process.kill(victim.pid, 'SIGKILL')
  expect(await writing).toBeInstanceOf(WriteOutcomeUnknownError)
  expect(await writing).toMatchObject({ durability: undefined })
  await bed.servers.start('replica1')
  await expect
    .poll(() => bed.on('master', 'SELECT 1 AS one').catch(() => []), { timeout: 30_000 })
    .toEqual([{ one: 1 }])
  expect(await stored(9)).toBe(false)
  expect(total(write)).toBe(1)
})

row('node unresponsive', 'a read goes elsewhere, a write is unknown', async () => {
  const cluster = bed.open()
  const seen = announced(cluster)
  await Promise.all([1, 2, 3].map(() => cluster.reader.query('SELECT 1')))
  await cluster.writer.query('SELECT 1')
  await bed.servers.freeze('replica1')
  const names = await Promise.all(
    Array.from({ length: 6 }, async () => (await cluster.reader.query('SELECT 1')).routing.node),
  )
  expect(new Set(names)).toEqual(new Set(['replica2']))
  expect(seen).toContain('replica1 quarantined SEGREGATO_NODE_UNRESPONSIVE')
  await bed.servers.thaw('replica1')
  await bed.servers.freeze('master')
  const write = mark()
  const error = await failureOf(cluster.writer.query(`INSERT INTO posts VALUES (12) ${write}`))
  await bed.servers.thaw('master')
  expect(error).toBeInstanceOf(WriteOutcomeUnknownError)
  expect(error).toMatchObject({ cause: { code: 'SEGREGATO_NODE_UNRESPONSIVE' } })
  await expect.poll(() => total(write)).toBe(1)
})
