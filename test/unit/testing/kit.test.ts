import { createServer } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { TestClusterError } from '../../../src/errors.ts'
import { databaseYaml, environmentFile } from '../../../src/cli/dev-files.ts'
import { freePorts, isFree } from '../../../src/testing/ports.ts'
import { reportProgress } from '../../../src/testing/progress.ts'
import { serverSettings } from '../../../src/testing/settings.ts'
import { parse as parseEnvironment } from 'dotenv'
import { parse as parseYaml } from 'yaml'

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const installation = {
  bin: '/x',
  version: 'x',
  major: 18,
  account: undefined,
  env: {},
  hasStatementStatistics: true,
}

test('ports are different, free, and wished ones where they are free', async () => {
  const ports = await freePorts(5)
  expect(new Set(ports).size).toBe(5)
  expect(ports.every((port) => port >= 20_000 && port < 32_000)).toBe(true)
  expect(await freePorts(1, ports[0])).toEqual([ports[0]])

  const holder = createServer()
  await new Promise<void>((resolve) => holder.listen(ports[0], '127.0.0.1', () => resolve()))
  expect(await isFree(ports[0]!)).toBe(false)
  const [first] = await freePorts(1, ports[0])
  expect(first).not.toBe(ports[0])
  holder.close()
  expect(await freePorts(2, 65_535)).toHaveLength(2)
})

test('given settings win, module and version decide the rest, bad names are refused', () => {
  const settings = serverSettings(installation, 2, {
    max_connections: '7',
    'pg_stat_statements.max': '500',
  })
  expect(settings.get('max_connections')).toBe('7')
  expect(settings.get('pg_stat_statements.max')).toBe('500')
  expect(settings.get('shared_preload_libraries')).toBe('pg_stat_statements')
  expect(settings.get('io_method')).toBe('sync')
  const older = serverSettings({ ...installation, major: 15, hasStatementStatistics: false }, 2, {})
  expect(older.has('io_method') || older.has('shared_preload_libraries')).toBe(false)
  expect(() => serverSettings(installation, 0, { "a = 'b'\nc": '1' })).toThrow(TestClusterError)
})

test('progress is shown from the third second on, and nothing when it is over before', () => {
  vi.useFakeTimers()
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const quick = reportProgress(undefined)
  quick.report('one')
  quick.end()
  vi.advanceTimersByTime(10_000)
  expect(write).not.toHaveBeenCalled()

  const slow = reportProgress(undefined)
  slow.report('one')
  slow.report('two')
  vi.advanceTimersByTime(2_000)
  slow.report('three')
  slow.end()
  expect(write.mock.calls.map(([text]) => text)).toEqual([
    'segregato: two …\n',
    'segregato: three …\n',
  ])
})

test('a listener hears of every step at once', () => {
  const heard: string[] = []
  const progress = reportProgress((message) => heard.push(message))
  progress.report('one')
  expect(heard).toEqual(['one'])
})

test.each(['plain-1', "with 'single' quotes", 'with # and $HOME and \\', "with ` and '"])(
  'the files of a cluster say what it is: %s',
  (password) => {
    const node = {
      host: '127.0.0.1',
      port: 5432,
      database: 'no',
      username: 'segregato',
      password,
      pool: 5,
    }
    const config = { master: node, replica1: { ...node, port: 5433 } }
    expect(parseYaml(databaseYaml(config), { merge: true })).toMatchObject({
      development: {
        master: {
          adapter: 'postgresql',
          database: 'no',
          username: 'segregato',
          password: '${DB_PASSWORD}',
          port: 5432,
          pool: 5,
        },
        replica1: { host: '127.0.0.1', port: 5433 },
      },
    })
    expect(parseEnvironment(environmentFile(config))).toEqual({
      DB_ENV: 'development',
      DB_PASSWORD: password,
    })
  },
)
