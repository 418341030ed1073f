/** Every command of docs/replication.md, in its order, in one container for each major version. */
import { GenericContainer } from 'testcontainers'
import type { StartedTestContainer } from 'testcontainers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dockerClient, uniqueName } from '../support/docker.ts'
import { readDocuments } from '../support/documents.ts'

const { blocks, prose } = readDocuments().find(({ path }) => path === 'docs/replication.md')!

const [, oldest, newest] = /For PostgreSQL (\d+) to (\d+)/.exec(prose)!.map(Number) as [
  number,
  number,
  number,
]
const MAJORS = Array.from({ length: newest - oldest + 1 }, (_, index) => oldest + index)

/** An image with PostgreSQL in it for each major version. */
const IMAGES = process.env['PAGE_IMAGES']?.split(' ') ?? MAJORS.map((major) => `postgres:${major}`)

const STREAMING = 'SELECT application_name, state FROM pg_stat_replication'

/** What questions on the page are answered, in their order; each after a moment, maybe. */
const ANSWERS: [question: string, answer: RegExp][] = [
  ['SELECT title FROM posts', /Hello/],
  ['replay_lag', /replica\d .*streaming[^]*replica\d .*streaming/],
  ['AS bytes', /replica\d +\| +0[^]*replica\d +\| +0/],
  ['pg_stat_wal_receiver', /pg_is_in_recovery[^]* t +\|[^]*streaming \| 127\.0\.0\.1 +\| +5432 /],
  [STREAMING, /replica\d +\| streaming[^]*replica\d +\| streaming/],
  [STREAMING, /replica2 +\| streaming\n\(1 row\)/],
  [STREAMING, /(?:replica2|old_primary) +\| streaming[^]*(?:replica2|old_primary) +\| streaming/],
]

test('the page has commands only, and each is for root or for postgres', () => {
  expect(blocks.length).toBeGreaterThan(20)
  for (const { language, info, line } of blocks)
    expect(`${language} ${info}`.trim(), `line ${line}`).toMatch(/^bash(?: root)?$/)
  expect(prose).toContain('as the user `postgres`')
})

const found: number[] = []

describe.each(IMAGES)('%s', (image) => {
  let container: StartedTestContainer | undefined
  const exports: string[] = []
  const answers = [...ANSWERS]

  beforeAll(async () => {
    await dockerClient()
    container = await new GenericContainer(image)
      .withEntrypoint(['sleep', 'infinity'])
      .withName(uniqueName())
      // Where the page puts the data: nothing of it has to outlive the container.
      .withTmpFs({ '/srv': 'rw' })
      .withAutoCleanup(false)
      .start()
  })
  afterAll(() => container?.stop())

  const run = async (text: string, user: string): Promise<string> => {
    const { output, exitCode } = await container!.exec(
      ['bash', '-euo', 'pipefail', '-c', [...exports, text].join('\n')],
      { user },
    )
    expect(exitCode, `${text}\n${output}`).toBe(0)
    return output
  }

  test.each(blocks.map((block) => [block.line, block.text.split('\n')[0], block] as const))(
    'line %i: %s',
    { timeout: 60_000 },
    async (_line, _first, { text, info }) => {
      const user = info === 'root' ? 'root' : 'postgres'
      const [question, answer] = answers[0] ?? ['']
      if (answer !== undefined && text.includes(question)) {
        answers.shift()
        await expect.poll(() => run(text, user), { timeout: 30_000, interval: 250 }).toMatch(answer)
      } else await run(text, user)
      exports.push(...text.split('\n').filter((each) => each.startsWith('export ')))
    },
  )

  test('every question that is listed here stands on the page, in this order', () => {
    expect(answers).toEqual([])
  })

  test('at the end the promoted server has one replica with the same data', async () => {
    await run('psql -p 5433 -d blog -c "INSERT INTO posts (title) VALUES (\'After\')"', 'postgres')
    await expect
      .poll(
        () => run("psql -p 5434 -d blog -XAtc 'SELECT title FROM posts ORDER BY 1'", 'postgres'),
        {
          timeout: 15_000,
        },
      )
      .toBe('After\nHello\n')
    expect(
      await run(
        "psql -p 5433 -XAtc 'SELECT slot_name, active FROM pg_replication_slots'",
        'postgres',
      ),
    ).toBe('replica2|t\n')
  })

  test('it is a version of the page', async () => {
    const version = await run('psql -p 5433 -XAtc "SHOW server_version_num"', 'postgres')
    found.push(Math.floor(Number(version) / 10_000))
  })
})

test('these are all versions of the page', () => {
  expect(found.toSorted((one, other) => one - other)).toEqual(MAJORS)
})
