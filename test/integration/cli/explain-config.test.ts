import { expect, test } from 'vitest'
import { useCommandLine } from './command-line.ts'

const cli = useCommandLine()

interface Explanation {
  readonly [key: string]: unknown
  readonly nodes: readonly {
    readonly node: string
    readonly values: readonly {
      readonly key: string
      readonly value: unknown
      readonly source: string
    }[]
  }[]
  readonly settings: readonly {
    readonly key: string
    readonly value: unknown
    readonly source: string
  }[]
}

const explained = async (
  env: Readonly<Record<string, string>> = {},
  ...args: readonly string[]
): Promise<Explanation> => {
  const { status, stdout, stderr } = await cli.run(['explain-config', '--json', ...args], env)
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return JSON.parse(stdout) as Explanation
}

const valueOf = ({ nodes }: Explanation, node: string, key: string): string => {
  const value = nodes.find((one) => one.node === node)?.values.find((one) => one.key === key)
  return `${JSON.stringify(value?.value)} by ${value?.source}`
}

const FILE = `default: &default
  database: blog
  password: \${DB_PASSWORD}
  port: \${DB_PORT:-6000}
development:
  master:
    <<: *default
    host: \${DB_HOST}
    ssl: require
  replica1:
    url: \${REPLICA_URL}
    connect_timeout: 2
    reaping_frequency: 10
  settings:
    max_lag_ms: 500
`

test('it tells where each value comes from', async () => {
  cli.write('database.yml', FILE)
  cli.write('.env', 'DB_PASSWORD=secret\nDB_HOST=overridden\nDB_ENV=development\n')
  const env = {
    DB_HOST: 'db.internal',
    REPLICA_URL: 'postgres://reader:secret@localhost:7000/copy',
    PGUSER: 'app',
    PGAPPNAME: 'shop',
  }
  const output = await explained(env)
  expect(output).toMatchObject({
    fileBy: 'default',
    environment: 'development',
    environmentBy: 'DB_ENV of .env',
    variables: [
      { name: 'DB_HOST', from: 'the environment' },
      { name: 'DB_PASSWORD', from: '.env' },
      { name: 'DB_PORT', from: 'not set' },
      { name: 'REPLICA_URL', from: 'the environment' },
    ],
    notices: ['Ignored, as these keys mean nothing here: reaping_frequency'],
  })
  expect(output['file']).toMatch(/database\.yml$/)
  expect(output['dotenv']).toMatch(/\.env$/)
  expect(valueOf(output, 'master', 'host')).toBe(
    '"db.internal" by DB_HOST of the environment, database.yml:8',
  )
  expect(valueOf(output, 'master', 'port')).toBe('6000 by default of DB_PORT, database.yml:4')
  expect(valueOf(output, 'master', 'database')).toBe('"blog" by database.yml:2')
  expect(valueOf(output, 'master', 'username')).toBe('"app" by PGUSER of the environment')
  expect(valueOf(output, 'master', 'application_name')).toBe(
    '"shop" by PGAPPNAME of the environment',
  )
  expect(valueOf(output, 'master', 'password')).toBe(
    '"[hidden]" by DB_PASSWORD of .env, database.yml:3',
  )
  expect(valueOf(output, 'master', 'ssl')).toBe('"require" by database.yml:9')
  expect(valueOf(output, 'master', 'pool')).toBe('5 by default')
  const url = 'by url, REPLICA_URL of the environment, database.yml:11'
  expect(valueOf(output, 'replica1', 'host')).toBe(`"localhost" ${url}`)
  expect(valueOf(output, 'replica1', 'port')).toBe(`7000 ${url}`)
  expect(valueOf(output, 'replica1', 'username')).toBe(`"reader" ${url}`)
  expect(valueOf(output, 'replica1', 'password')).toBe(`"[hidden]" ${url}`)
  expect(valueOf(output, 'replica1', 'connect_timeout_ms')).toBe(
    '2000 by connect_timeout, database.yml:12',
  )
  expect(output.settings).toContainEqual({
    key: 'max_lag_ms',
    value: 500,
    source: 'database.yml:15',
    isDefault: false,
  })

  const { stdout } = await cli.run(['explain-config'], env)
  expect(stdout).toMatch(/^ {2}host +db\.internal +DB_HOST of the environment, database\.yml:8$/m)
  expect(stdout).toMatch(/^notice {2}Ignored/m)
  expect(stdout).not.toContain('secret')
})

test('NODE_ENV chooses, .env is skipped in production, and a master may be called primary', async () => {
  cli.write('.env', 'DB_HOST=from-dotenv\n')
  cli.write(
    'database.yml',
    'production:\n  primary: { host: "${DB_HOST:-localhost}" }\n  settings: { allow_same_server: true }\n',
  )
  const output = await explained({ NODE_ENV: 'production' })
  expect(output).toMatchObject({
    environment: 'production',
    environmentBy: 'NODE_ENV of the environment',
    dotenv: null,
  })
  expect(valueOf(output, 'primary', 'host')).toBe(
    '"localhost" by default of DB_HOST, database.yml:2',
  )
  expect(valueOf(output, 'primary', 'password')).toBe('null by default')
})
