import { existsSync, readFileSync, utimesSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { prefixOf } from '../../../src/testing/places.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import { build, type Built } from '../../support/built.ts'
import { pressCtrlC, type Program, run } from '../../support/program.ts'
import {
  commandOf,
  directoriesOf,
  leftOf,
  tracesOf,
  tracesOfAll,
  vanishes,
} from '../../support/traces.ts'

let built: Built
beforeAll(() => {
  built = build()
})
afterAll(() => built.remove())

/** A suite of a user: starts a cluster, tells where it is, and does something. */
const suite = (then: string, options = '{ replicas: 2 }'): Program =>
  run([
    '--input-type=module',
    '-e',
    `import { startCluster } from ${JSON.stringify(built.path('testing/start-cluster.js'))}
     const servers = await startCluster(${options})
     console.log('directory ' + servers.directory)
     console.log('url ' + servers.url('replica1'))
     ${then}`,
  ])

const WAIT = 'await new Promise((resolve) => setTimeout(resolve, 600_000))'

const directoryOf = async (program: Program): Promise<string> =>
  (await program.line(/^directory (.+)/))[1]!

test('what a running cluster occupies is seen by these tests', async () => {
  await using servers = await startCluster({ replicas: 1 })
  const traces = tracesOf(servers.directory)
  expect(traces.ports).toHaveLength(2)
  expect(traces.segments.every((id) => /^\d+$/.test(id))).toBe(true)
  // Two postmasters with several children each, and the watchdog.
  expect(traces.processes.length).toBeGreaterThan(8)
  expect(Object.keys(leftOf(traces))).toEqual(['directory', 'ports', 'segments', 'processes'])
})

test('close() leaves nothing, whatever was done to the servers before', async () => {
  const servers = await startCluster({ replicas: 3 })
  const traces = tracesOf(servers.directory)
  await servers.kill('replica1')
  await servers.freeze('replica2')
  await servers.stop('replica3')
  await servers.close()
  expect(leftOf(traces)).toEqual({})
})

test('SIGKILL of the test run leaves nothing, frozen servers included', async () => {
  const program = suite(
    `await servers.freeze('replica1'); await servers.freeze('master'); console.log('frozen'); ${WAIT}`,
  )
  const traces = tracesOf(await directoryOf(program))
  await program.line(/^frozen/)
  program.child.kill('SIGKILL')
  expect(await program.ended).toBe('SIGKILL')
  await vanishes(traces)
})

test('Ctrl-C leaves nothing', async () => {
  const program = suite(WAIT)
  const traces = tracesOf(await directoryOf(program))
  pressCtrlC(program)
  expect(await program.ended).toBe('SIGINT')
  await vanishes(traces)
})

test('a postmaster killed by somebody else leaves no shared memory', async () => {
  const program = suite(WAIT)
  const directory = await directoryOf(program)
  const traces = tracesOf(directory)
  const postmaster = Number(
    readFileSync(join(directory, 'master', 'postmaster.pid'), 'utf8').split('\n')[0],
  )
  process.kill(postmaster, 'SIGKILL')
  program.child.kill('SIGKILL')
  await program.ended
  await vanishes(traces)
})

test('a script that forgets close() ends by itself and leaves nothing', async () => {
  const program = suite('')
  const directory = await directoryOf(program)
  expect(await program.ended).toBe(0)
  await vanishes(tracesOfAll(basename(directory)))
})

test.each(['initdb', 'Starting the primary', 'Copying', 'Starting the replicas'])(
  'SIGKILL during the start leaves nothing: %s',
  async (step) => {
    const program = suite(
      WAIT,
      `{ replicas: 2, cache: false, onProgress: (message) => console.log('step ' + message) }`,
    )
    await program.line(new RegExp(`^step .*${step}`))
    expect(directoriesOf(program.clusters)).toHaveLength(1)
    const traces = tracesOfAll(program.clusters)
    program.child.kill('SIGKILL')
    await program.ended
    await vanishes(traces)
  },
)

test('a start that fails leaves nothing', async () => {
  await expect(startCluster({ replicas: 1, settings: { no_such_setting: '1' } })).rejects.toThrow(
    /no_such_setting/,
  )
  expect(directoriesOf(prefixOf(process.pid))).toEqual([])
})

test('two suites at once do not disturb each other', async () => {
  const [one, two] = [suite(WAIT), suite(`process.once('SIGTERM', () => servers.close()); ${WAIT}`)]
  const [first, second] = [tracesOf(await directoryOf(one)), tracesOf(await directoryOf(two))]
  expect(new Set([...first.ports, ...second.ports]).size).toBe(6)
  one.child.kill('SIGKILL')
  await vanishes(first)
  const [, url] = await two.line(/^url (.+)/)
  const client = new Client({ connectionString: url! })
  await client.connect()
  expect((await client.query('SELECT pg_is_in_recovery() AS is')).rows).toEqual([{ is: true }])
  await client.end()
  two.child.kill('SIGTERM')
  await vanishes(second)
  two.child.kill('SIGKILL')
  await two.ended
})

test('when the watchdog was killed too, a later start removes what is left', async () => {
  const program = suite(WAIT)
  const traces = tracesOf(await directoryOf(program))
  const watchdog = traces.processes.find(({ pid }) => commandOf(pid)?.startsWith('segregato'))!
  process.kill(watchdog.pid, 'SIGKILL')
  program.child.kill('SIGKILL')
  await program.ended
  expect(Object.keys(leftOf(traces))).toContain('processes')
  const old = new Date(Date.now() - 3_600_000)
  utimesSync(directoriesOf(traces.name)[0]!, old, old)
  await using other = await startCluster({ replicas: 0 })
  await vanishes(traces)
  expect(existsSync(other.directory)).toBe(true)
})
