/** A real PgBouncer in transaction mode in front of the shared servers. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestClusterConfig } from '../../src/testing/start-cluster.ts'
import { freePorts } from '../../src/testing/ports.ts'

export interface PgBouncer {
  /** The given configuration, each node by way of the pooler. */
  readonly config: TestClusterConfig
  close(): Promise<void>
}

/** PostgreSQL's tools refuse to run as root, PgBouncer too. */
const NOBODY = 65534

export const startPgBouncer = async (config: TestClusterConfig): Promise<PgBouncer> => {
  const [port] = await freePorts(1)
  const directory = await mkdtemp(join(tmpdir(), 'segregato-pgbouncer-'))
  const databases = Object.entries(config).map(
    ([name, { host, port, database, username, password }]) =>
      `${name} = host=${host} port=${port} dbname=${database} user=${username} password=${password}`,
  )
  const file = join(directory, 'pgbouncer.ini')
  await writeFile(
    file,
    ['[databases]', ...databases, '[pgbouncer]', 'listen_addr = 127.0.0.1', `listen_port = ${port}`,
     'auth_type = any', 'pool_mode = transaction', 'unix_socket_dir =', 'default_pool_size = 4', ''].join('\n'),
  ) // prettier-ignore
  await Promise.all([chmod(directory, 0o755), chmod(file, 0o644)])
  const root = process.getuid?.() === 0
  const child = spawn('pgbouncer', [file], {
    stdio: 'ignore',
    ...(root ? { uid: NOBODY, gid: NOBODY } : {}),
  })
  await Promise.race([
    reachable(port!),
    once(child, 'error').then(([error]) => Promise.reject(error as Error)),
  ])
  return {
    config: Object.fromEntries(
      Object.entries(config).map(([name, node]) => [
        name,
        { ...node, host: '127.0.0.1', port, database: name, pgbouncer: true },
      ]),
    ) as unknown as TestClusterConfig,
    close: async () => {
      const exited = once(child, 'exit')
      child.kill('SIGINT')
      await exited
      await rm(directory, { recursive: true })
    },
  }
}

const reachable = async (port: number): Promise<void> => {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1')
    const open = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (open) return
    await sleep(25)
  }
  throw new Error('PgBouncer does not listen')
}
