/** The servers of docker/compose.yml, started by testcontainers, with faults that only containers have. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { DockerComposeEnvironment, getContainerRuntimeClient, Wait } from 'testcontainers'
import type { ContainerRuntimeClient } from 'testcontainers'
import type { TestClusterConfig } from '../../src/testing/start-cluster.ts'
import { freePorts } from '../../src/testing/ports.ts'

/** Any image with PostgreSQL in it. */
export const POSTGRES_IMAGE = process.env['POSTGRES_IMAGE'] ?? 'postgres:18'

export const COMPOSE_FILE = resolve(import.meta.dirname, '../../docker/compose.yml')

/** By the start of its name docker/ci.sh finds what a killed test run has left behind. */
export const uniqueName = (): string =>
  [process.env['SEGREGATO_TEST_PREFIX'] ?? 'segregato-test', randomBytes(4).toString('hex')].join(
    '-',
  )

/** What each server is called in the configuration, and in the compose file. */
const SERVICES = { master: 'primary', replica1: 'replica1', replica2: 'replica2' } as const
export type ServerName = keyof typeof SERVICES
const NAMES = Object.keys(SERVICES) as readonly ServerName[]

export interface Containers extends AsyncDisposable {
  /** For `connect({ config })`; the user is a superuser. */
  readonly config: TestClusterConfig
  /** Where the servers write their logs, as `<name>.log`. */
  readonly directory: string
  /** All processes of the container stand still; its connections stay open. */
  pause(name: ServerName): Promise<void>
  unpause(name: ServerName): Promise<void>
  /** All processes of the container die, and it stays down until `start()`. */
  kill(name: ServerName): Promise<void>
  start(name: ServerName): Promise<void>
  /** The server ends at once, as in a crash, and its container with it: the engine is to start it again. */
  crash(name: ServerName): Promise<void>
  /** Cuts a replica from the other servers. Clients still reach it. */
  cut(name: ServerName): Promise<void>
  mend(name: ServerName): Promise<void>
  /** What the container has printed, since it was created. */
  output(name: ServerName): Promise<string>
  close(): Promise<void>
}

/** The engine, or an error that says what to do: without Docker these tests fail, they are not skipped. */
export const dockerClient = async (): Promise<ContainerRuntimeClient> => {
  try {
    return await getContainerRuntimeClient()
  } catch (cause) {
    throw new Error('The docker tests need a running Docker engine, and none answers', { cause })
  }
}

/** Starts the primary and two replicas; `settings` are PostgreSQL's, for all of them. */
export const startContainers = async (
  settings: Readonly<Record<string, string>> = {},
): Promise<Containers> => {
  const client = await dockerClient()
  const project = uniqueName()
  const directory = await mkdtemp(join(tmpdir(), 'segregato-docker-'))
  const override = join(directory, 'compose.json')
  // The servers write their logs as a user that is unknown here.
  await chmod(directory, 0o1777)
  await writeFile(override, JSON.stringify(overrides(directory, settings)))
  const ports = await freePorts(NAMES.length)
  const password = randomBytes(12).toString('hex')
  const [database, username] = ['blog', 'segregato']
  const started = await new DockerComposeEnvironment(dirname(COMPOSE_FILE), [
    COMPOSE_FILE,
    override,
  ])
    .withProjectName(project)
    .withAutoCleanup(false)
    .withStartupTimeout(90_000)
    .withDefaultWaitStrategy(Wait.forHealthCheck())
    .withEnvironment({
      POSTGRES_IMAGE,
      DB_USER: username,
      DB_PASSWORD: password,
      REPLICATION_PASSWORD: randomBytes(12).toString('hex'),
      PRIMARY_PORT: String(ports[0]),
      REPLICA1_PORT: String(ports[1]),
      REPLICA2_PORT: String(ports[2]),
    })
    .up()
    .catch(async (error: unknown) => {
      await rm(directory, { recursive: true })
      throw new Error(`The image ${POSTGRES_IMAGE} (POSTGRES_IMAGE) gave no running servers`, {
        cause: error,
      })
    })
  const close = async (): Promise<void> => {
    await started.down()
    await rm(directory, { recursive: true })
  }

  const config = Object.fromEntries(
    NAMES.map((name, index) => [
      name,
      { host: '127.0.0.1', port: ports[index]!, database, username, password, pool: 5 },
    ]),
  ) as TestClusterConfig
  const of = (name: ServerName) => client.container.getById(`${project}-${SERVICES[name]}-1`)
  const cluster = client.network.getById(`${project}_cluster`)
  const alter = ['psql', '-U', 'postgres', '-c', `ALTER ROLE ${username} SUPERUSER`]
  const { exitCode, output } = await client.container.exec(of('master'), alter)
  if (exitCode !== 0) {
    await close()
    throw new Error(`The user for the tests is no superuser: ${output}`)
  }

  return {
    config,
    directory,
    pause: (name) => freeze(() => of(name).pause()),
    unpause: (name) => of(name).unpause(),
    kill: (name) => of(name).kill(),
    start: (name) => of(name).start(),
    // Nobody inside a container can kill its first process; PostgreSQL takes this for an immediate end.
    crash: async (name) => {
      await client.container.exec(of(name), ['/bin/sh', '-c', 'kill -QUIT 1'])
    },
    cut: (name) => cluster.disconnect({ Container: of(name).id }),
    mend: (name) =>
      cluster.connect({
        Container: of(name).id,
        EndpointConfig: { Aliases: [SERVICES[name]] },
      }),
    output: async (name) =>
      (await of(name).logs({ stdout: true, stderr: true, follow: false })).toString('utf8'),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** The kernel cannot freeze a process in the middle of a system call, and the engine gives up soon: it is asked again. */
const freeze = async (pause: () => Promise<void>): Promise<void> => {
  for (const end = performance.now() + 30_000; ;) {
    try {
      return await pause()
    } catch (error) {
      if (!String(error).includes('unable to freeze') || performance.now() > end) throw error
    }
  }
}

/** What the tests add to docker/compose.yml; JSON is YAML. */
const overrides = (directory: string, settings: Readonly<Record<string, string>>): object => {
  const all = {
    fsync: 'off',
    max_connections: '200',
    // A lost neighbour is noticed within seconds.
    wal_sender_timeout: '2s',
    wal_receiver_timeout: '2s',
    wal_receiver_status_interval: '1s',
    wal_retrieve_retry_interval: '100ms',
    logging_collector: 'on',
    log_directory: '/segregato/logs',
    log_file_mode: '0644',
    log_rotation_age: '0',
    log_rotation_size: '0',
    ...settings,
  }
  const service = (name: ServerName): object => ({
    command: Object.entries({ ...all, log_filename: `${name}.log` }).flatMap(([setting, value]) => [
      '-c',
      // Compose would take a dollar sign for a variable.
      `${setting}=${value.replaceAll('$', '$$$$')}`,
    ]),
    volumes: [`${directory}:/segregato/logs`],
  })
  return { services: Object.fromEntries(NAMES.map((name) => [SERVICES[name], service(name)])) }
}
