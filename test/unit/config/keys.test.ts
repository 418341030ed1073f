import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import type { ClusterConfigInput } from '../../../src/config/input.ts'
import type { CandidateView } from '../../../src/config/types.ts'
import {
  FIRST_LINE,
  MINIMAL,
  issueOf,
  issuesOf,
  loadMaster,
  loadMasterObject,
  loadText,
  useEmptySurroundings,
} from './helpers.ts'

useEmptySurroundings()

const withSettings = (...lines: readonly string[]) =>
  loadText(`${MINIMAL}  settings:\n${lines.map((line) => `    ${line}\n`).join('')}`)

describe('the keys of a node', () => {
  test.each([
    ['port: 70000', 'found 70000, expected a whole number from 1 to 65535'],
    ['port: 0', 'found 0, expected a whole number from 1 to 65535'],
    ['port: -1', 'found -1, expected'],
    ['port: 54.5', 'found 54.5, expected'],
    ['port: many', 'found text, expected a whole number'],
    ['port: "5432"', "found '5432', expected a whole number from 1 to 65535; leave out the quotes"],
    ['port: .nan', 'found NaN, expected'],
    ['port: .inf', 'found Infinity, expected'],
    ['port: 1e309', 'found Infinity, expected'],
    ['port: [1]', 'found a list, expected'],
    ['port: { a: 1 }', 'found a map, expected'],
    ['port: true', 'found true, expected'],
    ['pool: 0', 'found 0, expected a whole number from 1 to 10000'],
    ['pool: -5', 'found -5, expected'],
    ['pool: .nan', 'found NaN, expected'],
    ['weight: 0', 'found 0, expected a number above 0'],
    ['weight: -1', 'found -1, expected a number above 0'],
    ['weight: heavy', 'found text, expected a number above 0'],
    ['connect_timeout_ms: 0', 'found 0, expected a whole number from 1'],
    ['connect_timeout_ms: 1e12', 'expected a whole number from 1 to 2147483647'],
    ['idle_timeout_ms: -1', 'found -1, expected a whole number from 0'],
    ['max_lifetime_ms: soon', 'found text, expected'],
    ['statement_timeout_ms: 0', 'found 0, expected a whole number from 1'],
    ['database: 5', 'found 5, expected text that is not empty; put it in quotes'],
    ['database: ""', "found '', expected text that is not empty"],
    ['database: "a\\0b"', 'expected text that is not empty'],
    [
      'database: "a\\nb"',
      'found text, expected text that is not empty; there is a control character in it',
    ],
    ['application_name: []', 'found a list, expected text'],
    ['prepared_statements: "yes"', "found 'yes', expected true or false"],
    ['pgbouncer: 1', 'found 1, expected true or false'],
    [
      'database: postgres://app:pw@db/blog',
      'found a URL, expected a name; a URL goes under the key url',
    ],
    ['username: "postgres://app:pw@db:x/blog"', 'found a URL, expected a name'],
    ['application_name: mysql://app:pw@db/blog', 'found a URL, expected a name'],
    ['adapter: mysql2', "found 'mysql2', expected postgresql, postgres or pg"],
    ['tags: analytics', 'found text, expected a list of texts'],
    ['tags: [1]', 'found 1, expected text'],
    ['tags: [primary]', "expected tags other than 'primary' and 'replica'"],
    ['variables: text', 'found text, expected a map'],
    ['variables: { "a b": 1 }', 'expected the name of a run-time parameter'],
    ['variables: { work_mem: [1] }', 'found a list, expected text, a number'],
    ['variables: { default_transaction_read_only: off }', 'cannot be a variable'],
    ['password: 12345', 'found a number, expected text'],
    ['password: true', 'found true or false, expected text'],
    ['password: [a]', 'found a list, expected text'],
  ])('%s', (line, message) => {
    expect(issueOf(() => loadMaster(line)).message).toContain(message)
  })

  test.each([
    ['host: ""', "found '', expected text that is not empty"],
    ['host: postgres://app@db/blog', 'a URL goes under the key url'],
    ['host: db:5432', 'expected the port under the key port'],
    ['host: db1,db2', 'each server is a node of its own'],
    ['host: "a b"', 'expected a host name'],
    ['host: user@db', 'expected a host name'],
  ])('%s', (line, message) => {
    const text = MINIMAL.replace('host: localhost', line)
    expect(issueOf(() => loadText(text)).message).toContain(message)
  })

  test('file, line, column and path', () => {
    expect(issueOf(() => loadMaster('database: blog', 'port: 70000'))).toMatchObject({
      file: 'database.yml',
      path: 'development.master.port',
      line: FIRST_LINE + 1,
      column: 11,
    })
  })

  test('every mistake at once, in the order of the file', () => {
    const text = `development:
  master: { host: localhost, port: 0, pool: 0, color: red }
  replica1: { host: db.internal }
  replica2: { host: localhost, tags: 5, password: 5 }
  settings: { balancing: random, replica_share: 2 }
`
    expect(
      issuesOf(() => loadText(text)).map(({ path }) => path?.replace('development.', '')),
    ).toEqual([
      'master.port',
      'master.pool',
      'master.color',
      'replica1',
      'replica2.tags',
      'replica2.password',
      'settings.balancing',
      'settings.replica_share',
    ])
  })

  test('all of them, in both spellings', () => {
    const expected = {
      host: 'localhost',
      port: 5000,
      database: 'blog',
      username: 'app',
      pool: 3,
      ssl: { rejectUnauthorized: true, verifyHost: false },
      applicationName: 'a',
      connectTimeoutMs: 1,
      idleTimeoutMs: 0,
      maxLifetimeMs: 0,
      statementTimeoutMs: 9,
      preparedStatements: false,
      pgbouncer: false,
      weight: 0.5,
      tags: ['a', 'b'],
      variables: { search_path: 'x', work_mem: '64', 'app.debug': 'true' },
    }
    const file = loadMaster(
      'adapter: pg',
      'port: 5000',
      'database: blog',
      'username: app',
      'pool: 3',
      'ssl: verify-ca',
      'application_name: a',
      'connect_timeout_ms: 1',
      'idle_timeout_ms: 0',
      'max_lifetime_ms: 0',
      'statement_timeout_ms: 9',
      'prepared_statements: false',
      'pgbouncer: false',
      'weight: 0.5',
      'tags: [a, b, a]',
      'variables: { search_path: x, work_mem: 64, app.debug: true, nothing: }',
    )
    const object = loadMasterObject({ ...expected, adapter: 'pg', ssl: 'verify-ca' })
    expect(file.primary).toMatchObject(expected)
    expect(object.primary).toMatchObject(expected)
  })

  test('a key without a value is absent', () => {
    expect(loadMaster('pool:', 'password:', 'tags: ~').primary).toMatchObject({ pool: 5, tags: [] })
    expect(loadMasterObject({ pool: undefined, password: null }).primary.pool).toBe(5)
  })

  test('a socket by its directory, by its file, and as host', () => {
    const socket = (lines: string) => loadText(MINIMAL.replace('host: localhost', lines)).primary
    expect(socket('socket: /run/pg')).toMatchObject({ host: '/run/pg', port: 5432, ssl: false })
    expect(socket('socket: /run/pg/.s.PGSQL.5499')).toMatchObject({ host: '/run/pg', port: 5499 })
    expect(socket('host: /run/pg\n    port: 1')).toMatchObject({ host: '/run/pg', port: 1 })
    expect(issueOf(() => socket('socket: relative')).message).toContain('expected the directory')
    expect(issueOf(() => loadMaster('socket: /run/pg')).message).toContain('a host and a socket')
    expect(issueOf(() => socket('socket: /run/pg/.s.PGSQL.5499\n    port: 1')).message).toContain(
      'say different things',
    )
  })

  test('an address of IPv6, with and without brackets', () => {
    const host = (text: string) => loadText(MINIMAL.replace('localhost', text)).primary.host
    expect(host('"::1"')).toBe('::1')
    expect(host('"[::1]"')).toBe('::1')
  })

  test('with pgbouncer no prepared statements unless they are asked for', () => {
    expect(loadMaster('pgbouncer: true').primary.preparedStatements).toBe(false)
    const both = loadMaster('pgbouncer: true', 'prepared_statements: true')
    expect(both.primary.preparedStatements).toBe(true)
    const { notices } = loadMaster('pgbouncer: true', 'statement_timeout_ms: 5')
    expect(notices).toEqual([expect.stringContaining('master: with pgbouncer')])
  })
})

describe('unknown keys', () => {
  test.each([
    ['pasword: x', "unknown key 'pasword'; did you mean 'password'?"],
    ['prot: 5432', "unknown key 'prot'; did you mean 'port'?"],
    ['user: app', "unknown key 'user'; did you mean 'username'?"],
    ['statementTimeoutMs: 5', "write 'statement_timeout_ms' (files use snake_case)"],
    ['Pool: 5', "unknown key 'Pool'; write 'pool' (files use snake_case)"],
    ['application-name: x', "write 'application_name'"],
    ['flux: 1', "unknown key 'flux'; a node has adapter, url, host,"],
  ])('of a node in a file: %s', (line, message) => {
    const issue = issueOf(() => loadMaster(line))
    expect(issue.message).toContain(message)
    expect(issue).toMatchObject({ line: FIRST_LINE, column: 5 })
  })

  test.each([
    [{ statement_timeout_ms: 5 }, "write 'statementTimeoutMs' (objects use camelCase)"],
    [{ idleTimeoutMillis: 5 }, "did you mean 'idleTimeoutMs'?"],
    [{ idleTimeout: 5 }, "did you mean 'idleTimeoutMs'?"],
    [{ connectionString: 'canary' }, "did you mean 'url'?"],
    [{ user: 'x' }, "did you mean 'username'?"],
    [{ sslmode: 'require' }, "did you mean 'ssl'?"],
    [{ POOL: 5 }, "write 'pool'"],
  ])('of a node in an object: %j', (keys, message) => {
    expect(issueOf(() => loadMasterObject(keys)).message).toContain(message)
  })

  test('of settings', () => {
    expect(issueOf(() => withSettings('balncing: weighted')).message).toContain("mean 'balancing'?")
    expect(issueOf(() => withSettings('maxLagMs: 5')).message).toContain("write 'max_lag_ms'")
    expect(issueOf(() => withSettings('read_preference: nearest')).message).toContain(
      'settings has',
    )
    expect(issueOf(() => withSettings('pool: 5')).message).toContain("unknown key 'pool'")
  })

  test.each([
    ['pool: 5', "unknown key 'pool'; it belongs to a node"],
    ['max_lag_ms: 5', "unknown key 'max_lag_ms'; it belongs under 'settings'"],
    ['setings: 5', "did you mean 'settings'?"],
    ['Settings: { balancing: weighted }', "unknown key 'Settings'; write 'settings'"],
    ['PRIMARY: { port: 1 }', "unknown key 'PRIMARY'; write 'primary'"],
    ['nonsense: 5', "every key other than 'master' and 'settings' is a replica"],
    ['nonsense: [a]', "every key other than 'master' and 'settings' is a replica"],
    ['"": { host: localhost, port: 9 }', 'expected a name of 1 to 63 printable characters'],
  ])('of an environment never become a replica: %s', (line, message) => {
    expect(issuesOf(() => loadText(`${MINIMAL}  ${line}\n`))[0]?.message).toContain(message)
  })
})

describe('settings', () => {
  test.each([
    ['balancing: wieghted', "found 'wieghted', expected round_robin, weighted or least_busy"],
    ['balancing: random', "found 'random', expected round_robin, weighted or least_busy"],
    ['allow_same_server: 1', 'found 1, expected true or false'],
    ['replica_share: 1.5', 'found 1.5, expected a number from 0 to 1'],
    ['replica_share: -0.1', 'found -0.1, expected a number from 0 to 1'],
    ['replica_share: .nan', 'found NaN'],
    ['max_lag_ms: -1', 'found -1, expected a whole number from 0'],
  ])('%s', (line, message) => {
    expect(issueOf(() => withSettings(line)).message).toContain(message)
  })

  test('no map', () => {
    expect(issueOf(() => loadText(`${MINIMAL}  settings: fast\n`)).message).toContain(
      'expected a map',
    )
    expect(loadText(`${MINIMAL}  settings:\n`).settings.balancing).toBe('round_robin')
  })

  test('a function balances in objects only', () => {
    const first = (candidates: readonly CandidateView[]): CandidateView => candidates[0]!
    const config = {
      master: { host: 'localhost' },
      replica1: { host: 'localhost', port: 1 },
      settings: { balancing: first },
    }
    expect(loadConfig({ config }).settings.balancing).toBe(first)
  })
})

describe('master and replicas', () => {
  test('no master', () => {
    expect(issueOf(() => loadText(MINIMAL.replace('master', 'replica0')))).toMatchObject({
      message: "Master configuration in environment 'development' was not found in database.yml",
      path: 'development',
    })
  })

  test('both master and primary', () => {
    const text = `${MINIMAL}  primary: { host: localhost, port: 9 }\n`
    expect(issueOf(() => loadText(text)).message).toContain("both 'master' and 'primary'")
  })

  test('no replica', () => {
    const { message } = issueOf(() => loadText('development:\n  master:\n    host: localhost\n'))
    expect(message).toBe(
      "Replica configuration not found in database.yml. Ensure there is a key other than 'master'. With settings.allow_same_server: true none is needed",
    )
  })

  test('no replica is needed with allow_same_server', () => {
    const text =
      'development:\n  master: { host: localhost }\n  settings: { allow_same_server: true }\n'
    expect(loadText(text).replicas).toEqual([])
  })

  test.each([
    ['localhost', 'localhost'],
    ['localhost', '127.0.0.1'],
    ['"::1"', 'LOCALHOST'],
    ['/run/pg', '/run/pg'],
  ])('two nodes with the same address: %s and %s', (one, two) => {
    const text = `development:\n  master: { host: ${one} }\n  replica1: { host: ${two}, port: 5432 }\n`
    expect(issueOf(() => loadText(text))).toMatchObject({
      message: expect.stringContaining("the same address as 'master'"),
      path: 'development.replica1',
      line: 3,
    })
    const allowed = loadText(`${text}  settings: { allow_same_server: true }\n`)
    expect(allowed.replicas).toHaveLength(1)
  })

  test('the same address in another letter case, and by the default port', () => {
    const text =
      'development:\n  master: { host: DB, ssl: false }\n  replica1: { host: db, ssl: false }\n'
    expect(issueOf(() => loadText(text)).message).toContain('the same address')
  })

  test('behind one pooler, databases may be on different servers', () => {
    const node = (database: string) => `{ host: localhost, database: ${database}, pgbouncer: true }`
    const text = `development:\n  master: ${node('blog')}\n  replica1: ${node('blog_read')}\n`
    expect(loadText(text).replicas).toHaveLength(1)
  })
})

describe('objects', () => {
  test('a text is a URL; texts are taken as they are', async () => {
    const { primary, replicas, environment, file } = loadConfig({
      config: {
        master: { host: 'localhost', password: '${NOT_EXPANDED}' },
        replica1: 'postgres://app@localhost:5433/blog',
      },
    })
    expect(await primary.password.reveal()).toBe('${NOT_EXPANDED}')
    expect(replicas[0]).toMatchObject({ port: 5433, username: 'app', database: 'blog' })
    expect([environment, file]).toEqual([undefined, undefined])
  })

  test('a password function, asked each time', async () => {
    let count = 0
    const password = async () => `p${++count}`
    const { primary } = loadMasterObject({ password })
    expect([await primary.password.reveal(), await primary.password.reveal()]).toEqual(['p1', 'p2'])
    const wrong = loadMasterObject({ password: async () => 5 })
    await expect(wrong.primary.password.reveal()).rejects.toThrow('did not answer with text')
  })

  test.each([
    [{}, ['Master configuration was not found in the configuration object', 'Replica conf']],
    [{ master: 5, replica1: 'postgres://localhost:1/a' }, ['found 5, expected the keys of a node']],
    [{ master: () => 1, replica1: {} }, ['found a function, expected the keys of a node']],
    [{ master: 'localhost', replica1: {} }, ['found no usable URL']],
    [{ master: { host: 'localhost', port: NaN }, r: { port: 1 } }, ['found NaN, expected']],
    [{ master: { host: 'localhost', port: '5' }, r: { port: 1 } }, ["found '5', expected"]],
    [{ master: { host: 'localhost', port: 5n }, r: { port: 1 } }, ['found a bigint, expected']],
    [{ master: { host: 'localhost', tags: new Set() }, r: { port: 1 } }, ['found an object']],
    [{ master: JSON.parse('{"__proto__":{"port":1}}'), r: { port: 1 } }, ["'__proto__' cannot be"]],
  ])('%#: mistakes', (config, messages) => {
    const found = issuesOf(() => loadConfig({ config: config as ClusterConfigInput }))
    for (const [index, message] of messages.entries()) {
      expect(found[index]?.message).toContain(message)
    }
  })

  test('that contain themselves, or throw', () => {
    const loop: Record<string, unknown> = { host: 'localhost' }
    loop['variables'] = { loop }
    loop['again'] = loop
    const config = { master: loop } as ClusterConfigInput
    expect(issuesOf(() => loadConfig({ config }))[0]?.message).toContain('more than 32 levels')
    const throwing = {
      get master(): never {
        throw new TypeError('canary')
      },
    }
    const issue = issueOf(() => loadConfig({ config: throwing }))
    expect(issue.message).toBe(
      'the configuration object cannot be read: one of its properties throws',
    )
  })
})
