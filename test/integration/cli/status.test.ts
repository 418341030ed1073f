import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { type FreshDatabase, freshDatabase } from '../../support/servers.ts'
import { run } from '../../support/program.ts'
import { PLAIN_ENVIRONMENT, useCommandLine, yamlOf } from './command-line.ts'

const cli = useCommandLine()

let db: FreshDatabase
beforeAll(async () => {
  db = await freshDatabase()
})
afterAll(() => db.drop())
beforeEach(() => cli.write('database.yml', yamlOf(db.config)))

test('once, without a terminal: a table and the end', async () => {
  const { status, stdout } = await cli.run(['status'])
  expect(status).toBe(0)
  expect(stdout).toMatch(/^node +role +address +lag +health$/m)
  expect(stdout).toMatch(/^master +primary +\S+:\d+ +- +healthy$/m)
  expect(stdout).toMatch(/^replica1 +replica +\S+:\d+ +[\d.]+ [kMG]?B, \d+ ms +healthy$/m)
  expect(stdout).not.toContain('\x1b')
})

test('--json: once, and with --watch a line each time', async () => {
  const { status, stdout } = await cli.run(['status', '--json'])
  expect(status).toBe(0)
  const { environment, nodes } = JSON.parse(stdout) as StatusOutput
  expect(environment).toBe('development')
  expect(nodes).toMatchObject([
    { node: 'master', role: 'primary', ok: true, failure: null, lagMs: null },
    {
      node: 'replica1',
      role: 'replica',
      ok: true,
      health: 'healthy',
      lagBytes: expect.any(Number),
    },
    { node: 'replica2', role: 'replica', ok: true, health: 'healthy', lagMs: expect.any(Number) },
  ])
  const program = run([cli.program, 'status', '--watch', '--json', '--interval', '100'], {
    cwd: cli.project,
    env: PLAIN_ENVIRONMENT,
  })
  while (program.lines.length < 2) await sleep(20)
  program.child.kill('SIGTERM')
  expect(await program.ended).toBe(0)
  for (const line of program.lines) expect((JSON.parse(line) as StatusOutput).nodes).toHaveLength(3)
})

test('--watch without a terminal prints lines until a signal', async () => {
  const program = run([cli.program, 'status', '--watch', '--interval', '100'], {
    cwd: cli.project,
    env: PLAIN_ENVIRONMENT,
  })
  const line = /^\d{4}-\d\d-\d\dT\S+Z\treplica2\treplica\thealthy\t[\d.]+ [kMG]?B, \d+ ms$/
  await program.line(line)
  while (program.lines.filter((text) => line.test(text)).length < 3) await sleep(20)
  program.child.kill('SIGTERM')
  expect(await program.ended).toBe(0)
  expect(program.lines.join('')).not.toContain('\x1b')
})

test('swapped roles show', async () => {
  const { master, replica1, replica2 } = db.config
  cli.write('database.yml', yamlOf({ master: replica1!, replica1: master, replica2: replica2! }))
  const { stdout } = await cli.run(['status'])
  expect(stdout).toMatch(/^master +primary .+ is a replica$/m)
  expect(stdout).toMatch(/^replica1 +replica .+ is a primary$/m)
})

interface StatusOutput {
  readonly environment: string
  readonly nodes: readonly object[]
}

const ALTERNATE_SCREEN = '\x1b[?1049h'
const ORDINARY_SCREEN = '\x1b[?1049l'

/** The program of util-linux that gives a command a terminal. */
const PSEUDO_TERMINAL = 'script'

/** A program in a terminal of its own, and then what that terminal is set to. */
const inTerminal = (command: string): { child: ChildProcess; output: () => string } => {
  const child = spawn(
    PSEUDO_TERMINAL,
    ['-qefc', `${command}; echo status=$?; stty -a`, '/dev/null'],
    {
      cwd: cli.project,
      env: { ...PLAIN_ENVIRONMENT, TERM: 'xterm', SHELL: '/bin/sh' },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  return { child, output: () => output }
}

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await sleep(20)
}

test.each([
  ['q', 'q'],
  ['Ctrl-C', '\x03'],
])('--watch in a terminal draws a live table, and %s gives the terminal back', async (_, key) => {
  const { child, output } = inTerminal(
    `'${process.execPath}' '${cli.program}' status --watch --interval 100`,
  )
  // Three samples of a replica in its graph.
  await until(() => /replica1.*[▁▂▃▄▅▆▇█]{3}/.test(output()))
  expect(output()).toContain(ALTERNATE_SCREEN)
  expect(output()).toContain('\x1b[32mhealthy')
  expect(output()).not.toContain(ORDINARY_SCREEN)
  const closed = new Promise((resolve) => child.once('close', resolve))
  child.stdin?.write(key)
  await closed
  expect(output()).toContain('status=')
  const after = output().slice(output().lastIndexOf(ORDINARY_SCREEN))
  expect(after).toContain('status=0')
  // The last table stays, the cursor is shown, and keys are echoed and read by lines again.
  expect(after).toContain('replica2')
  expect(output()).toContain('\x1b[?25h')
  expect(after).toMatch(/[^-]icanon/)
  expect(after).toMatch(/[^-]echo\b/)
})

test('NO_COLOR: a live table without colours', async () => {
  const { child, output } = inTerminal(
    `NO_COLOR=1 '${process.execPath}' '${cli.program}' status --watch --interval 100`,
  )
  await until(() => output().includes('healthy'))
  child.stdin?.write('q')
  await until(() => output().includes('status=0'))
  // eslint-disable-next-line no-control-regex
  expect(output()).not.toMatch(/\x1b\[\d+m/)
})
