/** What happens to servers that a cluster manager looks after: rows R9, P2, P3, P6 and P7 of the catalogue of faults. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { connect } from '../../src/cluster/connect.ts'
import type { HistoryEvent, PrimaryEvent } from '../../src/cluster/events.ts'
import { EXECUTE } from '../../src/cluster/statement.ts'
import { HistoryLostError, NoPrimaryError, StaleReplicasError } from '../../src/errors.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/start-cluster.ts'

const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each[Symbol.asyncDispose]()
})

interface Bed {
  readonly servers: TestCluster
  readonly cluster: Cluster
  readonly primaries: PrimaryEvent[]
  readonly histories: HistoryEvent[]
}

const start = async (settings: object = {}): Promise<Bed> => {
  const servers = await startCluster({ replicas: 2 })
  opened.push(servers)
  const cluster = connect({ config: { ...servers.config, settings } as never })
  opened.push(cluster)
  const primaries: PrimaryEvent[] = []
  const histories: HistoryEvent[] = []
  cluster.events.on('primary', (event) => primaries.push(event))
  cluster.events.on('history', (event) => histories.push(event))
  await cluster.writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
  for (const name of ['replica1', 'replica2']) {
    await expect
      .poll(() => cluster.using(name, () => read(cluster, 'eventual')).catch(() => undefined))
      .toMatchObject({ ids: [] })
  }
  return { servers, cluster, primaries, histories }
}

/** With a deadline, as models do it. */
const insert = ({ cluster }: Pick<Bed, 'cluster'>, id: number, timeoutMs = 30_000) =>
  cluster.writer[EXECUTE]({ text: 'INSERT INTO posts VALUES ($1)', values: [id] }, { timeoutMs })

const read = async (cluster: Cluster, consistency?: 'eventual' | 'strong') => {
  const { rows, routing } = await cluster.reader[EXECUTE]<{ id: number }>(
    { text: 'SELECT id FROM posts ORDER BY id' },
    consistency && { consistency },
  )
  return { ids: rows.map(({ id }) => id), node: routing.node, reason: routing.reason }
}

const shownBy = (cluster: Cluster, node: string, ids: number[]): Promise<void> =>
  expect
    .poll(() => cluster.using(node, () => read(cluster, 'eventual')).catch(() => undefined))
    .toMatchObject({ ids })

const rolesOf = (cluster: Cluster) =>
  Object.fromEntries(cluster.status().nodes.map(({ node, role }) => [node, role]))

/** As a cluster manager that has lost its store does it: the primary starts again as a standby. */
const demote = async (servers: TestCluster, name: string): Promise<void> => {
  await servers.stop(name)
  writeFileSync(join(servers.directory, name, 'standby.signal'), '')
  await servers.start(name)
}

/** A write on a connection that is not known to be dead would be of unknown outcome. */
const noticed = (cluster: Cluster): Promise<void> =>
  expect.poll(() => cluster.writer.totalCount).toBe(0)

test('R9: a replica that has not found the new primary serves whoever asks for nothing new, the primary the rest', async () => {
  const { servers, cluster } = await start({ waitTimeoutMs: 50 })
  await servers.kill('master')
  await noticed(cluster)
  await servers.promote('replica1')
  const sessions = Array.from({ length: 10 }, (_, index) =>
    cluster.session(async () => {
      await insert({ cluster }, index)
      return read(cluster).catch((error: unknown) => error)
    }),
  )
  // Each sees its own row, or is turned away: as many as may read from the primary at once.
  for (const [index, found] of (await Promise.all(sessions)).entries()) {
    if (found instanceof StaleReplicasError) continue
    expect(found).toMatchObject({ node: 'replica1', reason: 'not-caught-up' })
    expect((found as { ids: number[] }).ids).toContain(index)
  }
  const alone = cluster.session(async () => (await insert({ cluster }, 100), read(cluster)))
  expect((await alone).ids).toContain(100)
  for (let turn = 0; turn < 10; turn++)
    expect(await read(cluster, 'eventual')).toEqual({
      ids: [],
      node: 'replica2',
      reason: 'balanced',
    })
  await servers.follow('replica2', 'replica1')
  // Once it has, it serves sessions again.
  const served = () =>
    cluster
      .session(
        async () => (await insert({ cluster }, Math.floor(Math.random() * 1e9)), read(cluster)),
      )
      .catch(() => undefined)
  await expect.poll(served).toMatchObject({ node: 'replica2' })
})

test('P3: a switchover: writes wait for the new primary, and the old one comes back as a replica', async () => {
  const { servers, cluster, primaries, histories } = await start()
  await insert({ cluster }, 1)
  await shownBy(cluster, 'replica1', [1])
  await shownBy(cluster, 'replica2', [1])
  await servers.stop('master')
  await noticed(cluster)
  const write = insert({ cluster }, 2)
  await servers.promote('replica1')
  expect((await write).routing).toMatchObject({ node: 'replica1' })
  await servers.follow('replica2', 'replica1')
  await servers.follow('master', 'replica1')
  await shownBy(cluster, 'master', [1, 2])
  await expect
    .poll(() => rolesOf(cluster))
    .toEqual({
      master: 'replica',
      replica1: 'primary',
      replica2: 'replica',
    })
  const nodes = new Set<string>()
  await expect
    .poll(async () => nodes.add((await read(cluster, 'eventual')).node))
    .toEqual(new Set(['master', 'replica2']))
  expect((await read(cluster)).ids).toEqual([1, 2])
  expect(primaries.at(-1)).toMatchObject({ node: 'replica1', historyLost: false })
  expect(histories).toEqual([])
})

test('P6: the cluster goes back to an older timeline: what was written on the newer one is lost, and nobody waits', async () => {
  const bed = await start({ waitTimeoutMs: 600_000 })
  const { servers, cluster, primaries, histories } = bed
  await servers.stop('master')
  await noticed(cluster)
  await servers.promote('replica1')
  const token = await cluster.session(async () => {
    await insert(bed, 1)
    return cluster.token()
  })
  expect(token).toBeDefined()
  // The old primary comes back as the primary, and the others become copies of it.
  await servers.stop('replica1')
  await servers.start('master')
  await servers.follow('replica1', 'master')
  await servers.follow('replica2', 'master')
  await expect.poll(() => primaries.at(-1)).toMatchObject({ node: 'master', historyLost: true })
  await expect(cluster.session(() => read(cluster), { token })).rejects.toThrow(HistoryLostError)
  // The process goes on with what there is; each loss is told once.
  expect((await read(cluster)).ids).toEqual([])
  expect((await read(cluster)).ids).toEqual([])
  expect(histories.filter(({ explicit }) => !explicit)).toHaveLength(1)
  await insert(bed, 2)
  expect((await read(cluster)).ids).toEqual([2])
})

test('P7 and P2: the only primary becomes a standby: reads go on, and writes when the same server is promoted', async () => {
  const bed = await start()
  const { servers, cluster, primaries } = bed
  await insert(bed, 1)
  await shownBy(cluster, 'replica1', [1])
  await shownBy(cluster, 'replica2', [1])
  await demote(servers, 'master')
  await noticed(cluster)
  // The replicas stream from it, and are not behind: that says nothing about a primary.
  for (let turn = 0; turn < 10; turn++) expect((await read(cluster, 'eventual')).ids).toEqual([1])
  await cluster.session(async () => expect((await read(cluster)).ids).toEqual([1]))
  await expect(insert(bed, 2, 500)).rejects.toThrow(NoPrimaryError)
  await expect(read(cluster, 'strong')).rejects.toMatchObject({ code: 'SEGREGATO_NO_REPLICA' })
  const write = insert(bed, 3)
  await servers.promote('master')
  expect((await write).routing).toMatchObject({ node: 'master' })
  expect((await read(cluster)).ids).toEqual([1, 3])
  await expect
    .poll(() => primaries.at(-1))
    .toMatchObject({ node: 'master', previous: 'master', timeline: 2, historyLost: false })
})
