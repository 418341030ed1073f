import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { pressCtrlC, type Program, run } from '../../support/program.ts'
import { directoriesOf, leftOf, tracesOf, tracesOfAll, vanishes } from '../../support/traces.ts'
import { buildExample, type BuiltExample } from './built-example.ts'

let built: BuiltExample
beforeAll(() => {
  built = buildExample()
})
afterAll(() => built.remove())

const demo = (...args: readonly string[]): Program => run([built.path('demo.js'), ...args])

/** The ports of the servers as the demo prints them at the start. */
const portsOf = ({ lines }: Program): Readonly<Record<string, string>> =>
  Object.fromEntries(
    lines
      .map((line) => /^ {2}(\w+) +\w+ +postgres:.*@127\.0\.0\.1:(\d+)\/segregato$/.exec(line))
      .flatMap((match) => (match === null ? [] : [[match[1]!, match[2]!]])),
  )

/** What it prints for each request: request, status, server, role, port. */
const answersOf = ({ lines }: Program): readonly string[][] =>
  lines
    .map((line) => /^ {2}(POST|GET) (\S+) +(\d+) {2}(\w+) +(\w+) {2}port (\d+)$/.exec(line))
    .flatMap((match) => (match === null ? [] : [match.slice(1)]))

test('--exit shows three writes on the primary and six reads on two replicas, and leaves nothing', async () => {
  const program = demo('--exit')
  await program.line(/^Three writes/)
  const { master, replica1, replica2 } = portsOf(program)
  const ports = [master, replica1, replica2].map(Number)
  const traces = tracesOfAll(program.clusters, ports)
  expect(await program.ended).toBe(0)

  const answers = answersOf(program)
  expect(answers.slice(0, 3)).toEqual(
    Array.from({ length: 3 }, () => ['POST', '/posts', '201', 'master', 'primary', master]),
  )
  const reads = answers.slice(3)
  expect(
    reads.map(([method, path]) => `${method} ${path!.replace(/\/[\da-f]{8}-…/, '/id')}`),
  ).toEqual([
    ...Array.from({ length: 3 }, () => 'GET /posts'),
    ...Array.from({ length: 3 }, () => 'GET /posts/id'),
  ])
  expect(reads.every(([, , status, , role]) => status === '200' && role === 'replica')).toBe(true)
  const turns = reads.map(([, , , name, , port]) => `${name} ${port}`)
  const [one, two] = [`replica1 ${replica1}`, `replica2 ${replica2}`]
  const expected = turns[0] === one ? [one, two] : [two, one]
  expect(turns).toEqual([...expected, ...expected, ...expected])
  await program.line(/^ {2}Both replicas had them \d+ ms later/)

  // Neither a terminal nor colours.
  expect(program.lines.join('\n')).not.toContain('\u001B')
  expect(leftOf(traces)).toEqual({})
})

test('it goes on serving, on a free port when 3000 is taken, until Ctrl-C', async () => {
  const holder = createServer().listen(3000, '127.0.0.1')
  onTestFinished(() => void holder.close())
  // Taken by somebody else: just as well.
  await new Promise((resolve) => holder.once('listening', resolve).once('error', resolve))
  const program = demo()
  const [, url] = await program.line(/^Serving on (http:\S+) until Ctrl-C/)
  expect(new URL(url!).port).not.toBe('3000')
  await program.line(/^ {2}curl -i http:\S+\/posts -H .*"title":""/)
  const traces = tracesOf(directoriesOf(program.clusters)[0]!)
  expect(traces.ports.map(String).sort()).toEqual(Object.values(portsOf(program)).sort())

  const list = await fetch(`${url}/posts`)
  expect(await list.json()).toMatchObject({ count: 3 })
  expect(list.headers.get('x-answered-by')).toMatch(/^replica[12]$/)
  const headers = { 'content-type': 'application/json' }
  const created = await fetch(`${url}/posts`, { method: 'POST', headers, body: '{"title":"Mine"}' })
  expect(created.status).toBe(201)
  expect(created.headers.get('x-answered-by')).toBe('master')
  const refused = await fetch(`${url}/posts`, { method: 'POST', headers, body: '{"title":""}' })
  expect(refused.status).toBe(422)
  expect(refused.headers.get('x-answered-by')).toBeNull()
  for (const response of [created, refused]) await response.arrayBuffer()

  pressCtrlC(program)
  expect(await program.ended).toBe(0)
  expect(program.lines.at(-1)).toBe('Stopped. The servers and their data are gone.')
  expect(leftOf(traces)).toEqual({})
  expect(directoriesOf(program.clusters)).toEqual([])
})

test.each(['Starting the primary', 'Starting the replicas'])(
  'Ctrl-C during the start stops it too: %s',
  async (step) => {
    const program = demo()
    await program.line(new RegExp(step))
    pressCtrlC(program)
    expect(await program.ended).toBe(0)
    expect(answersOf(program)).toEqual([])
    expect(directoriesOf(program.clusters)).toEqual([])
  },
)

test('when it is killed its servers end all the same', async () => {
  const program = demo()
  await program.line(/^Serving on/)
  const traces = tracesOf(directoriesOf(program.clusters)[0]!)
  program.child.kill('SIGKILL')
  await program.ended
  await vanishes(traces)
})
