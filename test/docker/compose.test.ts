/** `docker compose -f docker/compose.yml up`, as a user runs it. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { connect } from '../../src/cluster/connect.ts'
import { freePorts } from '../../src/testing/ports.ts'
import { COMPOSE_FILE, POSTGRES_IMAGE, uniqueName } from '../support/docker.ts'
import { ROOT } from '../support/documents.ts'

const run = promisify(execFile)

/** Each is another place for PostgreSQL's programs, its data and its user. */
const IMAGES = process.env['COMPOSE_IMAGES']?.split(' ') ?? [POSTGRES_IMAGE]

let image: string
let project: string
let directory: string
let cluster: Cluster | undefined
let settings: Record<string, string>

const compose = (...args: string[]) =>
  run('docker', ['compose', '-f', COMPOSE_FILE, '-p', project, ...args], {
    env: { ...process.env, POSTGRES_IMAGE: image, ...settings },
  })

/** Asks a server of the project inside its container. */
const psql = async (service: string, text: string): Promise<string> => {
  const command = ['psql', '-U', 'postgres', '-d', 'blog', '-XAtc', text]
  return (await compose('exec', '-T', service, ...command)).stdout
}

/** Containers, networks and volumes of the project. */
const left = async (): Promise<string[]> => {
  const filter = ['--filter', `label=com.docker.compose.project=${project}`, '-q']
  const found = await Promise.all([
    run('docker', ['ps', '-a', ...filter]),
    run('docker', ['network', 'ls', ...filter]),
    run('docker', ['volume', 'ls', ...filter]),
  ])
  return found.flatMap(({ stdout }) => stdout.split('\n').filter((line) => line !== ''))
}

test('without settings the ports, user, database and password are those of the examples', async () => {
  const { stdout } = await run(
    'docker',
    ['compose', '-f', COMPOSE_FILE, 'config', '--format', 'json'],
    {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
    },
  )
  const { services } = JSON.parse(stdout) as {
    services: Record<string, { image: string; ports: object[]; environment: object }>
  }
  const published = Object.entries(services).map(([name, { ports }]) => [name, ports])
  const port = (number: number) => [
    {
      host_ip: '127.0.0.1',
      mode: 'ingress',
      protocol: 'tcp',
      published: `${number}`,
      target: number,
    },
  ]
  expect(Object.fromEntries(published)).toEqual({
    primary: port(5432),
    replica1: port(5433),
    replica2: port(5434),
  })
  expect(services['primary']).toMatchObject({
    image: expect.stringMatching(/^postgres:\d+$/),
    environment: { APP_USER: 'app', APP_DATABASES: expect.stringMatching(/^blog blog_test$/) },
  })
  const example = await readFile(join(ROOT, '.env.example'), 'utf8')
  const [, password] = /^DB_PASSWORD=(.*)$/m.exec(example)!
  expect(services['primary']!.environment).toMatchObject({ APP_PASSWORD: password })
})

describe.each(IMAGES)('%s', (of) => {
  beforeAll(async () => {
    image = of
    project = uniqueName()
    directory = await mkdtemp(join(tmpdir(), 'segregato-compose-'))
    const ports = (await freePorts(3)).map(String) as [string, string, string]
    settings = {
      // What would have to be quoted in SQL, in YAML, or in a connection string.
      DB_PASSWORD: String.raw`it's "a" \pass:word`,
      REPLICATION_PASSWORD: String.raw`re'pl \icate`,
      PRIMARY_PORT: ports[0],
      REPLICA1_PORT: ports[1],
      REPLICA2_PORT: ports[2],
    }
    const example = await readFile(join(ROOT, 'database.example.yml'), 'utf8')
    const file = join(directory, 'database.yml')
    await writeFile(
      file,
      example.replace(/\bport: 543([234])\b/g, (_, digit) => `port: ${ports[Number(digit) - 2]}`),
    )
    vi.stubEnv('DB_PASSWORD', settings['DB_PASSWORD'])
    await compose('up', '--wait')
    cluster = connect({ config: file, env: 'development' })
  })
  afterAll(async () => {
    await cluster?.close()
    await compose('down', '--volumes', '--timeout', '0')
    await rm(directory, { recursive: true })
    vi.unstubAllEnvs()
  })

  test('the configuration of database.example.yml works: a write is read on both replicas', async () => {
    await cluster!.verify()
    await cluster!.writer.query('CREATE TABLE posts (title text)')
    await cluster!.writer.query("INSERT INTO posts VALUES ('Hello')")
    for (const name of ['replica1', 'replica2'])
      await expect
        .poll(
          () =>
            cluster!
              .using(name, async () => {
                const { rows } = await cluster!.reader.query(
                  'SELECT title, pg_is_in_recovery() AS replica FROM posts',
                )
                return rows as unknown[]
              })
              .catch(String),
          { timeout: 30_000 },
        )
        .toEqual([{ title: 'Hello', replica: true }])
    const slots = 'SELECT slot_name, active FROM pg_replication_slots ORDER BY 1'
    expect(await psql('primary', slots)).toBe('segregato_replica1|t\nsegregato_replica2|t\n')
    const superusers = 'SELECT rolname FROM pg_roles WHERE rolsuper'
    expect(await psql('primary', superusers)).toBe('postgres\n')
  })

  test('the data outlives its containers; down -v leaves nothing', async () => {
    await cluster!.close()
    await compose('kill')
    await compose('up', '--wait', '--force-recreate')
    for (const service of ['primary', 'replica1', 'replica2']) {
      const titles = await psql(service, 'SELECT title FROM posts')
      expect(titles).toBe('Hello\n')
    }
    const { stdout: logs } = await compose('logs', 'replica1')
    expect(logs).not.toContain('copying the primary')
    await compose('down', '--volumes', '--timeout', '0')
    expect(await left()).toEqual([])
  })
})
