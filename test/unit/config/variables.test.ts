import { describe, expect, test, vi } from 'vitest'
import { FIRST_LINE, issueOf, loadMaster, useEmptySurroundings } from './helpers.ts'

useEmptySurroundings()

const databaseOf = (value: string): string => loadMaster(`database: ${value}`).primary.database

describe('expressions', () => {
  test.each([
    ['${NAME}', 'blog'],
    ['"${NAME}"', 'blog'],
    ["'${NAME}'", 'blog'],
    ['${NAME:-other}', 'blog'],
    ['${UNSET:-other}', 'other'],
    ['${EMPTY:-other}', 'other'],
    ['${UNSET:-}x', 'x'],
    ['a-${NAME}-${NAME}-z', 'a-blog-blog-z'],
    ["<%= ENV['NAME'] %>", 'blog'],
    ['<%= ENV["NAME"] %>', 'blog'],
    ["<%=ENV['NAME']%>", 'blog'],
    ["<%= ENV.fetch('NAME') %>", 'blog'],
    ["<%= ENV.fetch('UNSET', 'other') %>", 'other'],
    ['<%= ENV.fetch("UNSET", "other") %>', 'other'],
    ["<%= ENV.fetch('UNSET') { 5 } %>", '5'],
    ["<%= ENV.fetch('UNSET') { 'other' } %>", 'other'],
    ['<%= ENV.fetch("UNSET") { "other" } %>', 'other'],
    ['$NAME $', '$NAME $'],
  ])('%s', (value, expected) => {
    vi.stubEnv('NAME', 'blog')
    vi.stubEnv('EMPTY', '')
    expect(databaseOf(value)).toBe(expected)
  })

  test('in a flow map, in quotes', () => {
    vi.stubEnv('NAME', 'blog')
    const { primary } = loadMaster('variables: { search_path: "${NAME}" }')
    expect(primary.variables).toEqual({ search_path: 'blog' })
  })

  test('become the type that their key wants', () => {
    vi.stubEnv('NUMBER', '77')
    vi.stubEnv('TRUE', 'true')
    vi.stubEnv('TAGS', 'a, b,')
    const { primary } = loadMaster(
      'port: ${NUMBER}',
      "pool: <%= ENV.fetch('POOL') { 6 } %>",
      'weight: ${WEIGHT:-1.5}',
      'pgbouncer: ${TRUE}',
      'tags: ${TAGS}',
      'ssl: ${TRUE}',
      'username: ${NUMBER}',
    )
    expect(primary).toMatchObject({
      port: 77,
      pool: 6,
      weight: 1.5,
      pgbouncer: true,
      tags: ['a', 'b'],
      ssl: { rejectUnauthorized: true, verifyHost: true },
      username: '77',
    })
  })

  test('a secret that contains YAML syntax stays a text, and is not expanded again', async () => {
    for (const secret of [
      'a: b # c',
      '[x]',
      '"',
      '\n- a\nb: 2',
      '${NAME}',
      "<%= ENV['NAME'] %>",
      '&a *b !c',
    ]) {
      vi.stubEnv('SECRET', secret)
      const { primary } = loadMaster('password: ${SECRET}')
      expect(await primary.password.reveal()).toBe(secret)
      expect(primary.port).toBe(5432)
    }
  })

  test.each(['${UNSET}', "<%= ENV['UNSET'] %>", "<%= ENV.fetch('UNSET') %>"])(
    'an unset variable without a default: %s',
    (value) => {
      expect(issueOf(() => databaseOf(value))).toMatchObject({
        message: 'found the variable UNSET, which is not set; set it or give a default',
        path: 'development.master.database',
        line: FIRST_LINE,
        column: 15,
      })
    },
  )

  test.each(['__proto__', 'constructor', 'toString'])('no inherited name is set: %s', (name) => {
    expect(issueOf(() => databaseOf(`\${${name}}`)).message).toContain('is not set')
  })

  test.each([
    '${}',
    '${NAME',
    '${1NAME}',
    '${NAME:=x}',
    '${NAME-x}',
    '${NAME:?}',
    '"${NAME:-${OTHER}}"',
    "<%= ENV['NAME']",
    "<% ENV['NAME'] %>",
    "<%XENV['NAME'] %>",
    "<%= ENV['NAME'] || 'x' %>",
    "<%= ENV.fetch('NAME').strip %>",
    "<%= ENV.fetch('NAME', 'a') { 5 } %>",
    "<%= ENV.fetch('NAME') { ENV['OTHER'] } %>",
    '<%= `id` %>',
    '<%= 1 + 1 %>',
    '<%= ENV[\'NAME"] %>',
    "<%= ENV['NA ME'] %>",
  ])('nothing else is understood: %s', (value) => {
    vi.stubEnv('NAME', 'blog')
    const quoted = value.startsWith('"') ? value : `'${value.replaceAll("'", "''")}'`
    expect(issueOf(() => databaseOf(quoted)).message).toMatch(
      /^found an expression that (?:is not understood|does not end); write/,
    )
  })

  test('a value from a variable is shown in no message, its name is', () => {
    vi.stubEnv('PORT', 'canary')
    const { message } = issueOf(() => loadMaster('port: ${PORT}'))
    expect(message).toBe(
      'found the value of PORT (not shown), expected a whole number from 1 to 65535',
    )
  })

  test('keys are not expanded', () => {
    expect(issueOf(() => loadMaster('${NAME}: x')).message).toContain("unknown key '${NAME}'")
  })

  test('only what is read is expanded: another environment may need other variables', () => {
    expect(loadMaster('migrations_paths: ${UNSET}').notices).toHaveLength(1)
  })
})
