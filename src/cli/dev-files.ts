import { writeFileSync } from 'node:fs'
import { stringify } from 'yaml'
import type { TestClusterConfig } from '../testing/start-cluster.ts'

/** Gives editors that know YAML every key with its meaning. */
export const SCHEMA_LINE =
  '# yaml-language-server: $schema=./node_modules/segregato/database.schema.json'

/** The `database.yml` of a cluster on this machine; the password stands in `.env`. */
export const databaseYaml = (config: TestClusterConfig): string => {
  const { database, username, host, pool } = config.master
  const nodes = Object.entries(config).map(
    ([name, { port }]) => `  ${name}:\n    <<: *default\n    port: ${port}\n`,
  )
  return `${SCHEMA_LINE}
# Written by \`segregato dev\`, which starts these servers.
default: &default
  adapter: postgresql
  database: ${stringify(database).trim()}
  username: ${username}
  password: \${DB_PASSWORD}
  host: ${host}
  pool: ${pool}

development:
${nodes.join('')}`
}

/** The `.env` that belongs to it. */
export const environmentFile = (
  config: TestClusterConfig,
): string => `# Written by \`segregato dev\`.
DB_ENV=development
DB_PASSWORD=${quoted(config.master.password)}
`

/** dotenv takes what stands between any of three quotes as it is. */
const quoted = (value: string): string => {
  if (/^[\w.~-]+$/.test(value)) return value
  const quote = ["'", '`', '"'].find((one) => !value.includes(one)) ?? "'"
  return `${quote}${value}${quote}`
}

/** Writes a file unless there is one, and tells whether it did. */
export const writeNew = (path: string, text: string): boolean => {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: path === '.env' ? 0o600 : 0o644 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}
