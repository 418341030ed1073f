import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { parse as parseEnvironment } from 'dotenv'
import { loadConfig } from '../config/load.ts'
import { ConfigError } from '../errors.ts'
import type { GlobalOptions } from './command.ts'
import { SCHEMA_LINE, writeNew } from './dev-files.ts'
import { composeFile } from './init-compose.ts'
import type { ComposeServer } from './init-compose.ts'
import { colorsFor } from './output.ts'
import type { Colors } from './output.ts'

interface InitOptions extends GlobalOptions {
  readonly single?: boolean
}

/** Any of these is the project's compose file; a second one would take the place of the first. */
const COMPOSE_NAMES = [
  'compose.yml',
  'compose.yaml',
  'docker-compose.yml',
  'docker-compose.yaml',
] as const

/** `segregato init`: the files of a new project. What is there stays as it is. */
export const init = async ({ single = false }: InitOptions): Promise<number> => {
  const colors = colorsFor(process.stdout)
  const { text, servers } = composeFile({ single })
  const written = new Set<string>()
  const write = (path: string, content: string, about: string): void => {
    const isNew = writeNew(path, content)
    if (isNew) written.add(path)
    console.log(
      isNew
        ? `${colors.green('wrote')}  ${path.padEnd(12)}  ${colors.dim(about)}`
        : `${colors.yellow('left')}   ${path.padEnd(12)}  ${colors.dim('is there already')}`,
    )
  }
  write('database.yml', databaseYaml(servers, single), `master${single ? '' : ' and two replicas'}`)
  write('.env', environmentFile(), 'passwords: keep it out of version control')
  const compose = COMPOSE_NAMES.find((name) => existsSync(name)) ?? 'compose.yml'
  write(compose, text, 'the servers')
  const doubts = [
    ...(written.size === 3 ? [] : findDoubts(servers, written, compose)),
    ...(isPublic('.env') ? ['git does not ignore .env: echo .env >>.gitignore'] : []),
  ]
  if (doubts.length > 0) console.log(['', ...doubts].join('\n'))
  console.log(['', ...nextSteps(colors)].join('\n'))
  return 0
}

const nextSteps = (colors: Colors): readonly string[] => [
  `docker compose up --wait  ${colors.dim('starts the servers')}`,
  `npx segregato check       ${colors.dim('asks them who they are')}`,
]

const databaseYaml = (servers: readonly ComposeServer[], single: boolean): string => `${SCHEMA_LINE}
# Written by \`segregato init\`. database.example.yml of the package segregato shows every option.
default: &default
  adapter: postgresql
  database: blog
  username: \${DB_USER:-app}
  password: \${DB_PASSWORD}
  host: localhost
  pool: 5

development:
${servers
  .map(
    ({ name, port }) =>
      `  ${name === 'primary' ? 'master' : name}:\n    <<: *default\n    port: ${port}\n`,
  )
  .join('')}${
  single
    ? '  settings:\n    allow_same_server: true # one server for everything; reads are read-only all the same\n'
    : ''
}`

const environmentFile =
  (): string => `# Written by \`segregato init\`, for database.yml and compose.yml.
DB_ENV=development
DB_PASSWORD=${randomBytes(18).toString('base64url')}
REPLICATION_PASSWORD=${randomBytes(18).toString('base64url')}
`

/** Files of before may not fit the new ones. */
const findDoubts = (
  servers: readonly ComposeServer[],
  written: ReadonlySet<string>,
  compose: string,
): readonly string[] => {
  if (written.size === 0) return []
  const variables = existsSync('.env') ? parseEnvironment(readFileSync('.env')) : {}
  const wanted = servers.map(({ port }) => portOf(port, variables)).join(', ')
  const lacksServers = written.has(compose)
    ? []
    : [`${compose} must have servers on the ports ${wanted}`]
  if (!variables['DB_PASSWORD'] && !process.env['DB_PASSWORD']) {
    const doubt = '.env has no DB_PASSWORD, which the other files need: add one of your choice'
    return [doubt, ...lacksServers]
  }
  if (lacksServers.length > 0) return lacksServers
  try {
    const { primary, replicas } = loadConfig({ config: 'database.yml' })
    const configured = [primary, ...replicas].map(({ port }) => port).join(', ')
    if (configured === wanted) return []
    return [`database.yml names the ports ${configured}, and ${compose} ${wanted}`]
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return [`database.yml cannot be used yet:\n${error.message}`]
  }
}

/** Whether git would take a file; false where there is no git, or no repository. */
const isPublic = (path: string): boolean =>
  spawnSync('git', ['check-ignore', '--quiet', path], { stdio: 'ignore' }).status === 1

/** What `${PRIMARY_PORT:-5432}` is for Compose. */
const portOf = (port: string, variables: Readonly<Record<string, string>>): number => {
  const [, name = '', fallback = port] = /^\$\{(\w+):-(\d+)\}$/.exec(port) ?? []
  return Number(process.env[name] || variables[name] || fallback)
}
