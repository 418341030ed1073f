import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCluster, type TestCluster } from '../../../src/testing/start-cluster.ts'
import { clientFor, sharedCluster } from '../../support/servers.ts'
import { type CheckOutput, found, useCommandLine, yamlOf } from './command-line.ts'

const cli = useCommandLine()

const PASSWORD = 'made-for-this-test'

let servers: TestCluster
beforeAll(async () => {
  servers = await startCluster({ replicas: 2, database: 'blog', password: PASSWORD })
})
afterAll(() => servers.close())

const check = async (env: Readonly<Record<string, string>> = {}): Promise<CheckOutput> => {
  const { stdout, stderr } = await cli.run(['check', '--json'], env)
  expect(stderr).toBe('')
  return JSON.parse(stdout) as CheckOutput
}

const onMaster = async (...statements: readonly string[]): Promise<void> => {
  const client = clientFor(servers.config.master)
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}

test('init in an empty folder, then check against servers', async () => {
  expect((await cli.run(['init'])).status).toBe(0)
  const { master, replica1, replica2 } = servers.config
  const output = await check({
    DB_USER: master.username,
    DB_PASSWORD: PASSWORD,
    PRIMARY_PORT: String(master.port),
    REPLICA1_PORT: String(replica1!.port),
    REPLICA2_PORT: String(replica2!.port),
  })
  expect(output.nodes.map(({ node, role }) => [node, role])).toEqual([
    ['master', 'primary'],
    ['replica1', 'replica'],
    ['replica2', 'replica'],
  ])
  expect(output.ok).toBe(true)
})

test('a replica of another cluster', async () => {
  cli.write(
    'database.yml',
    yamlOf({
      ...servers.config,
      replica2: { ...sharedCluster().config['replica1'], database: 'postgres' },
    }),
  )
  const output = await check()
  expect(found(output, 'problem')).toEqual(['identity replica2'])
  expect(output.nodes[2]).toMatchObject({ lagBytes: null })
})

test('paused replay', async () => {
  cli.write('database.yml', yamlOf(servers.config, { max_lag_ms: 500 }))
  await servers.pauseReplay('replica1')
  await onMaster('CREATE TABLE filler AS SELECT generate_series(1, 10000)')
  try {
    const output = await check()
    expect(found(output, 'problem')).toEqual(['replay-paused replica1'])
    expect(output.nodes[1]).toMatchObject({ replayPaused: true, caughtUp: false })
    expect(output.nodes[1]!['lagBytes']).toBeGreaterThan(100_000)
    const { stdout } = await cli.run(['status'])
    expect(stdout).toMatch(/^replica1 +replica +\S+ +\d+ kB, > \d+ ms +replay paused$/m)
    expect(stdout).toMatch(/^replica2 +replica +\S+ +[\d.]+ [kMG]?B, \d+ ms +healthy$/m)
  } finally {
    await servers.resumeReplay('replica1')
  }
})

test('a replica that shows changes late', async () => {
  cli.write('database.yml', yamlOf(servers.config, { max_lag_ms: 500 }))
  await servers.setApplyDelay('replica1', 5_000)
  await onMaster('DROP TABLE IF EXISTS filler', 'CREATE TABLE filler (id int)')
  try {
    const output = await check()
    expect(found(output, 'problem')).toEqual([])
    expect(found(output, 'warning')).toEqual(['apply-delay replica1', 'lag replica1'])
  } finally {
    await servers.setApplyDelay('replica1', 0)
  }
})

test('a slot that nobody uses, and one that is gone', async () => {
  cli.write('database.yml', yamlOf(servers.config))
  await onMaster("SELECT pg_create_physical_replication_slot('forgotten', true)")
  const output = await check()
  expect(found(output, 'warning')).toEqual(['unused-slot master'])
  expect(output.findings[0]!.message).toContain("'forgotten'")
  await onMaster("SELECT pg_drop_replication_slot('forgotten')")
})

test('a frozen replica does not hold the others up for long', async () => {
  cli.write('database.yml', yamlOf(servers.config))
  await servers.freeze('replica2')
  try {
    const output = await check()
    expect(found(output, 'problem')).toEqual(['unreachable replica2'])
    expect(output.nodes[1]).toMatchObject({ reachable: true, role: 'replica' })
    expect((await cli.run(['status'])).stdout).toMatch(/^replica2 .+no answer: /m)
  } finally {
    await servers.thaw('replica2')
  }
})

test('a killed replica and its slot', async () => {
  cli.write('database.yml', yamlOf(servers.config))
  await servers.kill('replica2')
  const output = await check()
  expect(found(output, 'problem')).toEqual(['unreachable replica2'])
  // Its slot holds back log, whoever it belongs to.
  expect(found(output, 'warning')).toEqual(['unused-slot master'])
  expect((await cli.run(['status'])).stdout).toMatch(/^replica2 .+no answer: ECONNREFUSED$/m)
  await servers.start('replica2')
})

test('a dead primary', async () => {
  cli.write('database.yml', yamlOf(servers.config))
  await servers.stop('master')
  const output = await check()
  expect(found(output, 'problem')).toEqual([
    'unreachable master',
    'streaming replica1',
    'streaming replica2',
  ])
  expect((await cli.run(['status'])).stdout).toMatch(/^replica1 +replica +\S+ +unknown +healthy$/m)
  await servers.start('master')
})
