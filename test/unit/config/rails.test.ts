import { describe, expect, test } from 'vitest'
import { issueOf, loadMaster, loadMasterObject, loadText, useEmptySurroundings } from './helpers.ts'

useEmptySurroundings()

describe('a Rails file', () => {
  test('its keys are mapped, what means nothing here is ignored with one notice', () => {
    const { primary, replicas, notices } = loadText(`default: &default
  adapter: postgresql
  encoding: unicode
  pool: <%= ENV.fetch("RAILS_MAX_THREADS") { 5 } %>
  host: localhost
  connect_timeout: 2
  idle_timeout: 300
  sslmode: verify-ca
  schema_search_path: app,public
  reaping_frequency: 10
  variables:
    statement_timeout: 5000
development:
  primary:
    <<: *default
    database: blog
    migrations_paths: db/migrate
  primary_replica:
    <<: *default
    port: 5433
    replica: true
    database_tasks: false
`)
    expect(primary).toMatchObject({
      name: 'primary',
      pool: 5,
      connectTimeoutMs: 2_000,
      idleTimeoutMs: 300_000,
      ssl: { rejectUnauthorized: true, verifyHost: false },
      variables: { search_path: 'app,public', statement_timeout: '5000' },
    })
    expect(replicas.map(({ name }) => name)).toEqual(['primary_replica'])
    expect(notices).toEqual([
      'Ignored, as these keys mean nothing here: reaping_frequency, migrations_paths, database_tasks',
    ])
  })

  test.each([
    [['encoding: latin1'], 'expected utf8 or unicode as encoding'],
    [['replica: true'], 'found replica: true, but this node is the master'],
    [['connect_timeout: 1', 'connect_timeout_ms: 1000'], "'connect_timeout_ms' says the same"],
    [['connect_timeout: 0'], 'found 0 seconds, expected at least 1 ms'],
    [['connect_timeout: soon'], 'found text, expected a number'],
    [['schema_search_path: a', 'variables: { search_path: b }'], 'says the same'],
    [['sslmode: disable', 'ssl: true'], 'ssl says verify-full and sslmode says disable'],
    [['sslcert: 5'], 'found a number, expected text'],
  ])('%j is a mistake', (lines, message) => {
    expect(issueOf(() => loadMaster(...lines)).message).toContain(message)
  })

  test('replica: false on a replica is a mistake', () => {
    const text =
      'development:\n  master: { host: localhost }\n  a: { host: localhost, port: 1, replica: false }\n'
    expect(issueOf(() => loadText(text)).message).toContain('found replica: false')
  })

  test('its keys belong to files: in objects they are unknown', () => {
    expect(issueOf(() => loadMasterObject({ migrationsPaths: 'x' })).message).toContain(
      'unknown key',
    )
    expect(issueOf(() => loadMasterObject({ encoding: 'utf8' })).message).toContain('unknown key')
  })
})
