import { readFileSync } from 'node:fs'
import { parse } from 'dotenv'
import { startCluster, type TestCluster } from '../testing/start-cluster.ts'
import type { GlobalOptions } from './command.ts'
import { databaseYaml, environmentFile, writeNew } from './dev-files.ts'

interface DevOptions extends GlobalOptions {
  readonly replicas: number
  readonly port: number
  readonly database: string
}

/** `segregato dev`: one cluster in the foreground. */
export const dev = async ({ replicas, port, database }: DevOptions): Promise<number> => {
  const ended = endOfRun()
  // Neither the cluster nor a signal handler keeps a process running.
  const keep = setInterval(() => undefined, 2 ** 30)
  const password = knownPassword()
  let cluster: TestCluster | undefined
  try {
    cluster = await startCluster({
      replicas,
      port,
      database,
      ...(password && { password }),
      onProgress: (message) => console.log(`${message} …`),
    })
    describe(cluster)
    writeFiles(cluster)
    console.log('\nPress Ctrl-C to stop the servers and remove their data.')
    await ended
    console.log('\nStopping …')
  } finally {
    await cluster?.close()
    clearInterval(keep)
  }
  console.log('Stopped. The data is removed.')
  return 0
}

/** Ctrl-C, the end of the terminal, or a request to stop. A second Ctrl-C ends at once: the watchdog cleans up. */
const endOfRun = (): Promise<void> =>
  new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => resolve())
  })

/** The password of an earlier run, so that the files which that one wrote stay right. */
const knownPassword = (): string | undefined => {
  if (process.env['DB_PASSWORD']) return process.env['DB_PASSWORD']
  const text = readIfThere('.env')
  return text === undefined ? undefined : parse(text)['DB_PASSWORD'] || undefined
}

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const describe = (cluster: TestCluster): void => {
  const names = Object.keys(cluster.config)
  const width = Math.max(...names.map((name) => name.length))
  console.log('')
  for (const name of names) console.log(`${name.padEnd(width)}  ${cluster.url(name)}`)
  console.log(`\nLogs: ${cluster.directory}/<name>.log`)
}

const writeFiles = (cluster: TestCluster): void => {
  const yaml = databaseYaml(cluster.config)
  if (writeNew('database.yml', yaml)) {
    console.log('Wrote database.yml')
  } else {
    console.log('database.yml is there already and was left as it is')
    const text = readIfThere('database.yml') ?? ''
    const missing = Object.values(cluster.config).filter(
      ({ port }) => !new RegExp(`\\b${port}\\b`).test(text),
    )
    if (missing.length > 0) {
      console.log(
        `  It does not name the port${missing.length > 1 ? 's' : ''} ${missing.map(({ port }) => port).join(', ')} of these servers`,
      )
    }
  }
  if (writeNew('.env', environmentFile(cluster.config))) {
    console.log('Wrote .env (keep it out of version control)')
  } else {
    console.log('.env is there already and was left as it is')
    if (knownPassword() === undefined) {
      console.log(
        `  It has no DB_PASSWORD, which database.yml needs: DB_PASSWORD=${cluster.config.master.password}`,
      )
    }
  }
}
