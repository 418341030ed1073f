/** Row R2 of the catalogue of faults: a connection that the network has forgotten, to a server that is alive. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../src/cluster/connect.ts'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { EXECUTE } from '../../src/cluster/statement.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/start-cluster.ts'
import { openFaultProxy } from '../support/fault-proxy.ts'
import type { FaultProxy } from '../support/fault-proxy.ts'

let servers: TestCluster
let way: FaultProxy
let cluster: Cluster
/** Without the way, and with no name that could be taken for the other's. */
let direct: Cluster

beforeAll(async () => {
  servers = await startCluster({ replicas: 2 })
  const { master, replica1, replica2 } = servers.config
  way = await openFaultProxy(replica1!)
  cluster = connect({
    config: { master, replica1: { ...replica1!, port: way.port }, replica2: replica2! },
  })
  const own = { ...replica1!, applicationName: 'test' }
  direct = connect({ config: { master: { ...master, applicationName: 'test' }, replica1: own } })
})
afterAll(async () => {
  await direct?.close({ timeoutMs: 1_000 })
  await cluster?.close({ timeoutMs: 1_000 })
  await way?.close()
  await servers?.close()
})

/** The processes of the server that answer questions about it. */
const questioners = async (): Promise<readonly number[]> => {
  const { rows } = await direct.reader.query(
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'segregato (control)'",
  )
  return rows.map(({ pid }) => pid as number)
}
const stateOf = (node: string) =>
  cluster.status().nodes.find((status) => status.node === node)?.state

test('R2: half-open connections cost one attempt each, though their server answers on new ones', async () => {
  await Promise.all(
    [1, 2, 3].map(() => cluster.using('replica1', () => cluster.reader.query('SELECT 1'))),
  )
  await way.set('half-open')
  // The connection for questions is noticed by the probes, and made anew; those for reads lie idle.
  const before = await questioners()
  const isNew = async () => (await questioners()).some((pid) => !before.includes(pid))
  await expect.poll(isNew, { timeout: 20_000 }).toBe(true)
  const reads = await Promise.all(
    Array.from({ length: 6 }, () =>
      cluster.reader[EXECUTE]<{ one: number }>({ text: 'SELECT 1 AS one' }, { timeoutMs: 15_000 }),
    ),
  )
  for (const { rows } of reads) expect(rows).toEqual([{ one: 1 }])
  // The server itself is as good as before.
  expect(stateOf('replica1')).toBe('healthy')
})
