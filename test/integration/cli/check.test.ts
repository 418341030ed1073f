import { basename, isAbsolute } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { destroyConnection, openConnection } from '../../../src/cli/connection.ts'
import { loadConfig } from '../../../src/config/load.ts'
import {
  inspectLimits,
  inspectServer,
  inspectSlots,
  tellsPositions,
} from '../../../src/nodes/inspection.ts'
import { probePosition } from '../../../src/nodes/probe.ts'
import { closedPorts } from '../../support/cluster.ts'
import { type FreshDatabase, freshDatabase } from '../../support/servers.ts'
import { type CheckOutput, found, useCommandLine, yamlOf } from './command-line.ts'

const cli = useCommandLine()

let db: FreshDatabase
beforeAll(async () => {
  db = await freshDatabase()
})
afterAll(() => db.drop())

const checked = async (
  ...args: readonly string[]
): Promise<CheckOutput & { readonly status: number | null }> => {
  const { status, stdout, stderr } = await cli.run(['check', '--json', ...args])
  expect(stderr).toBe('')
  return { ...(JSON.parse(stdout) as CheckOutput), status }
}

test('a healthy cluster has no problem', async () => {
  cli.write('database.yml', yamlOf(db.config))
  const output = await checked()
  expect(output.status).toBe(0)
  expect(output.ok).toBe(true)
  expect(found(output, 'problem')).toEqual([])
  expect(found(output, 'warning')).toEqual([])
  expect(output.nodes).toHaveLength(3)
  const [master, replica1] = output.nodes
  expect(master).toMatchObject({ node: 'master', role: 'primary', lagBytes: null, slot: null })
  expect(replica1).toMatchObject({
    node: 'replica1',
    role: 'replica',
    caughtUp: true,
    slotActive: true,
    hotStandbyFeedback: false,
    maxStandbyStreamingDelayMs: 30_000,
    maxConnections: 200,
    connectionsNeeded: 6,
  })
  expect(replica1!['lagBytes']).toEqual(expect.any(Number))
  expect(replica1!['lagMs']).toEqual(expect.any(Number))
  expect(new Set(output.nodes.map((node) => node['systemIdentifier'])).size).toBe(1)
})

test('for people it is a table with one line a node and a summary', async () => {
  cli.write('database.yml', yamlOf(db.config))
  const { status, stdout } = await cli.run(['check'])
  expect(status).toBe(0)
  expect(stdout).toMatch(/^development of database\.yml\n\nnode +role +version +lag/)
  expect(stdout).toMatch(
    /^replica1  replica  \d+\.\d+ +[\d.]+ [kMG]?B, \d+ ms +segregato_replica1 +off +30 s +6 of 197$/m,
  )
  expect(stdout).toMatch(/^note +replica1, replica2 +hot_standby_feedback is off/m)
  expect(stdout).toContain('docs/command-line.md#hot-standby-feedback')
  expect(stdout).toMatch(/^No problems: 1 note$/m)
  const [, docs = ''] = /^docs\/ is (.+)$/m.exec(stdout) ?? []
  expect(isAbsolute(docs) && basename(docs)).toBe('docs')
  expect(stdout).not.toContain('\x1b')
  expect((await cli.run(['check', '--verbose'])).stdout).toMatch(
    /^ok +replica1, replica2 +is a replica/m,
  )
})

test('nothing that it asks leaves a timer behind, which would hold it up at its end', async () => {
  const { primary } = loadConfig({ config: db.config as never })
  const answerMs = 3_600_000
  const started = vi.spyOn(globalThis, 'setTimeout')
  const cleared = vi.spyOn(globalThis, 'clearTimeout')
  onTestFinished(() => void vi.restoreAllMocks())
  const client = await openConnection(primary, { connectMs: 20_000, answerMs })
  onTestFinished(() => destroyConnection(client))
  await inspectServer(client)
  await inspectLimits(client)
  await inspectSlots(client)
  await tellsPositions(client)
  await probePosition(client)
  await probePosition(client)
  const timers = started.mock.calls.flatMap(([, ms], index) =>
    ms === answerMs ? [started.mock.results[index]!.value] : [],
  )
  expect(timers.length).toBeGreaterThan(4)
  const ended = cleared.mock.calls.map(([timer]) => timer)
  expect(timers.filter((timer) => !ended.includes(timer))).toEqual([])
})

test('a dead replica', async () => {
  const [port] = await closedPorts(1)
  cli.write('database.yml', yamlOf({ ...db.config, replica2: { ...db.config['replica2'], port } }))
  const output = await checked()
  expect(output.status).toBe(1)
  expect(found(output, 'problem')).toEqual(['unreachable replica2'])
  expect(output.findings[0]!.message).toContain('ECONNREFUSED')
  expect(output.nodes[2]).toMatchObject({ reachable: false, role: null, version: null })
})

test('swapped roles', async () => {
  const { master, replica1, replica2 } = db.config
  cli.write('database.yml', yamlOf({ master: replica1!, replica1: master, replica2: replica2! }))
  const output = await checked()
  expect(output.status).toBe(1)
  expect(found(output, 'problem')).toEqual(['role master', 'role replica1'])
})

test('a wrong password', async () => {
  const replica1 = { ...db.config['replica1'], password: 'wrong-one' }
  cli.write('database.yml', yamlOf({ ...db.config, replica1 }))
  const output = await checked()
  expect(output.status).toBe(1)
  expect(found(output, 'problem')).toEqual(['refused replica1'])
  expect(output.nodes[1]).toMatchObject({ reachable: false, failureKind: 'refused' })
  expect(JSON.stringify(output)).not.toContain('wrong-one')
  expect((await cli.run(['check'])).stdout).toMatch(/^replica1 +replica +refused$/m)
})

test('one server under two names', async () => {
  const { master, replica1 } = db.config
  // Another name for the same address, which the file alone does not show.
  const nodes = { master, replica1: replica1!, again: { ...replica1, host: '127.1', ssl: false } }
  cli.write('database.yml', yamlOf(nodes))
  const output = await checked()
  expect(found(output, 'problem')).toEqual(['same-server again'])
  expect(output.status).toBe(1)

  cli.write('database.yml', yamlOf(nodes, { allow_same_server: true }))
  const permitted = await checked()
  expect(found(permitted, 'problem')).toEqual([])
  // Both names open connections to it.
  expect(
    permitted.findings.find(({ code, node }) => code === 'connections' && node === 'replica1')
      ?.message,
  ).toMatch(/^12 of /)
})

test('the first day: one server', async () => {
  cli.write(
    'database.yml',
    yamlOf({ master: db.config.master, replica1: db.config.master }, { allow_same_server: true }),
  )
  const output = await checked()
  expect(found(output, 'problem')).toEqual([])
  expect(output.status).toBe(0)
})

test('more processes than connections', async () => {
  cli.write('database.yml', yamlOf(db.config))
  const output = await checked('--processes', '20')
  expect(output.status).toBe(1)
  // 20 × (5 + 5 + 1) on the primary, 20 × (5 + 1) on a replica.
  expect(found(output, 'problem')).toEqual(['connections master'])
  expect(output.findings[0]!.message).toMatch(/= 220 connections, more than the 197 there are/)
  expect(output.nodes[1]).toMatchObject({ connectionsNeeded: 120 })
})

test('what a role may not ask is unknown and no problem', async () => {
  const role = `${db.name}_poor`
  await db.admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'poor' CONNECTION LIMIT 8`)
  try {
    const denied = [
      'pg_control_system()',
      'pg_get_replication_slots()',
      'pg_last_wal_replay_lsn()',
      'pg_current_wal_flush_lsn()',
      'pg_postmaster_start_time()',
    ]
    for (const name of denied)
      await db.admin.query(`REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC`)
    await db.replicated()
    const poor = Object.fromEntries(
      Object.entries(db.config).map(([name, node]) => [
        name,
        { ...node, username: role, password: 'poor' },
      ]),
    )
    cli.write('database.yml', yamlOf(poor))
    const output = await checked()
    // The limit of the role is known: 1 × (5 + 5 + 1) is more than 8.
    expect(found(output, 'problem')).toEqual(['connections master'])
    expect(output.findings[0]!.message).toContain('the limit of the role')
    expect(found(output, 'note')).toEqual(
      expect.arrayContaining(['unknown master', 'unknown replica1', 'unknown replica2']),
    )
    expect(output.nodes[0]).toMatchObject({ role: 'primary', systemIdentifier: null })
    expect(output.nodes[1]).toMatchObject({
      role: 'replica',
      lagBytes: null,
      lagMs: null,
      slotActive: null,
    })
    expect(
      output.findings.find(({ code, node }) => code === 'unknown' && node === 'master')!.message,
    ).toContain('the positions of writes')
    expect(
      output.findings.find(({ code, node }) => code === 'unknown' && node === 'replica1')!.message,
    ).toContain('the replayed position (for sticky_ms after a write')
    cli.write('database.yml', yamlOf(poor, { max_lag_ms: 1_000 }))
    expect(found(await checked(), 'warning')).toEqual(
      expect.arrayContaining(['lag replica1', 'lag replica2']),
    )
    cli.write('database.yml', yamlOf(poor))
    const { stdout } = await cli.run(['check'])
    expect(stdout).toMatch(/^replica1 +replica +\S+ +unknown +segregato_replica1 \(unknown\)/m)
    expect((await cli.run(['status'])).stdout).toMatch(
      /^replica1 +replica +\S+ +unknown +healthy$/m,
    )
  } finally {
    await db.admin.query(`DROP ROLE ${role}`)
  }
})

test('a primary that refuses writes to this user', async () => {
  const role = `${db.name}_reader`
  await db.admin.query(
    `CREATE ROLE ${role} LOGIN PASSWORD 'r'; ALTER ROLE ${role} SET default_transaction_read_only = on`,
  )
  await db.replicated()
  try {
    cli.write(
      'database.yml',
      yamlOf({ ...db.config, master: { ...db.config.master, username: role, password: 'r' } }),
    )
    const output = await checked()
    expect(found(output, 'problem')).toEqual(['role master'])
  } finally {
    await db.admin.query(`DROP ROLE ${role}`)
  }
})

test('a server that lets us in and answers nothing', async () => {
  const role = `${db.name}_mute`
  await db.admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'm'`)
  await db.admin.query('REVOKE EXECUTE ON FUNCTION pg_is_in_recovery() FROM PUBLIC')
  await db.replicated()
  try {
    const replica1 = { ...db.config['replica1'], username: role, password: 'm' }
    cli.write('database.yml', yamlOf({ ...db.config, replica1 }))
    const output = await checked()
    expect(found(output, 'problem')).toEqual(['unreachable replica1'])
    expect(output.findings[0]!.message).toContain('42501')
    expect((await cli.run(['status'])).stdout).toMatch(/^replica1 .+no answer: 42501/m)
  } finally {
    await db.admin.query(`DROP ROLE ${role}`)
  }
})
