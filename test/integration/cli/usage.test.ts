import { expect, test } from 'vitest'
import { closedPorts } from '../../support/cluster.ts'
import { useCommandLine } from './command-line.ts'

const cli = useCommandLine()

const CANARY = 'hunter2canary'

const COMMANDS = ['init', 'dev', 'check', 'status', 'explain-config'] as const

test.each(COMMANDS)('%s has help with examples', async (name) => {
  const { status, stdout } = await cli.run([name, '--help'])
  expect(status).toBe(0)
  expect(stdout).toMatch(new RegExp(`^Usage: segregato ${name}`))
  expect(stdout).toMatch(new RegExp(`^Examples:\\n {2}\\$ .*npx segregato ${name}`, 'm'))
  expect(stdout).not.toContain('\x1b')
})

test('the help names every command, and the version is that of the package', async () => {
  const { stdout } = await cli.run(['--help'])
  for (const name of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
  for (const flag of ['--version', '-V'])
    expect((await cli.run([flag])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test.each([
  [['chek'], "There is no command 'chek'. Did you mean check?"],
  [['check', '--procesess', '3'], "Unknown option '--procesess'. Did you mean --processes?"],
  [
    ['check', '--processes', 'many'],
    "--processes takes a whole number from 1 to 100000, not 'many'",
  ],
  [['status', '--interval', '5'], "--interval takes a whole number from 100 to 3600000, not '5'"],
  [['check', 'more'], "Too many arguments for 'check'. Expected 0 arguments but got 1"],
  [['dev', '--env', 'x'], "'dev' reads no configuration and takes no --env"],
  [['check', '--config'], "Option '--config <file>' argument missing"],
] as const)('wrong usage: %j', async (args, message) => {
  const { status, stdout, stderr } = await cli.run(args)
  expect(status).toBe(2)
  expect(stdout).toBe('')
  expect(stderr.startsWith(message), stderr).toBe(true)
  expect(stderr.trim().split('\n')).toHaveLength(1)
})

test('a configuration that cannot be used: status 2, every mistake, no stack', async () => {
  cli.write(
    'database.yml',
    `development:\n  master:\n    hots: localhost\n    password: ${CANARY}\n    port: ninety\n`,
  )
  for (const name of ['check', 'status', 'explain-config']) {
    const { status, stdout, stderr } = await cli.run([name])
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(
      "database.yml:3:5 development.master.hots: unknown key 'hots'; did you mean 'host'?",
    )
    expect(stderr).not.toContain('    at ')
    expect(stderr).not.toContain(CANARY)
  }
  expect((await cli.run(['check', '--verbose'])).stderr).toContain('    at ')
})

test('without a file it says how to get one', async () => {
  const { status, stderr } = await cli.run(['check'])
  expect(status).toBe(2)
  expect(stderr).toMatch(/^File 'database\.yml' not found\.\nsegregato init/)
})

test('--config and --env are understood before and after the command', async () => {
  cli.write(
    'other.yml',
    'blue:\n  master: postgres://localhost:1/a\n  r: postgres://localhost:2/a\n',
  )
  for (const args of [
    ['--config', 'other.yml', '--env', 'blue', 'explain-config'],
    ['explain-config', '--config', 'other.yml', '--env', 'blue'],
  ]) {
    const { status, stdout } = await cli.run(args)
    expect(status).toBe(0)
    expect(stdout).toMatch(/^file +other\.yml \(--config\)\nenvironment +blue \(--env\)$/m)
  }
})

test('no command shows a secret, whatever happens', async () => {
  const [port] = await closedPorts(1)
  cli.write('secret', CANARY)
  cli.write('.env', `A=${CANARY}\nURL=postgres://app:${CANARY}@127.0.0.1:${port}/blog\n`)
  cli.write(
    'database.yml',
    `development:
  master: { host: 127.0.0.1, port: ${port}, password: ${CANARY}, variables: { app.key: ${CANARY} } }
  r1: { url: "\${URL}" }
  r2: { host: 127.0.0.1, port: ${port}, password: "\${A}" }
  r3: { host: 127.0.0.1, port: ${port}, password_file: ${CANARY} }
  r4: { host: 127.0.0.1, port: ${port}, password_file: secret }
  settings: { allow_same_server: true }
`,
  )
  for (const command of [
    'check',
    'check --json',
    'status',
    'status --json',
    'explain-config',
    'explain-config --json',
    'init',
  ])
    for (const more of [[], ['--verbose']]) {
      const { stdout, stderr } = await cli.run([...command.split(' '), ...more], {
        PGPASSWORD: CANARY,
      })
      expect(stdout + stderr, command).not.toBe('')
      expect(stdout + stderr, command).not.toContain(CANARY)
    }
})
