import { describe, expect, test } from 'vitest'
import { MINIMAL, errorOf, issueOf, issuesOf, loadText, useEmptySurroundings } from './helpers.ts'

useEmptySurroundings()

const rest = MINIMAL.split('\n').slice(3).join('\n')

describe('not usable as YAML', () => {
  test.each([
    ['a quote that is not closed', 'a: "canary\n', /a quote, a comma, a colon or a bracket/],
    ['a bracket that is not closed', 'a: [canary\n', /not YAML/],
    ['a tab', 'a:\n\tb: canary\n', /a tab as indentation/],
    ['a reserved character', 'a: @canary\n', /must be put in quotes/],
    ['a colon in a text', 'a: canary: x\n', /must be put in quotes/],
    ['a wrong escape', 'a: "\\qcanary"\n', /a backslash/],
    ['an unknown tag', 'a: !canary x\n', /a tag that is not known/],
    ['an alias without an anchor', 'a: *nothing\n', /the alias 'nothing', for which there is no/],
    ['an alias inside itself', 'a: &a\n  b: *a\n', /inside of what it stands for/],
    ['a second document', 'a: {}\n---\nb: {}\n', /a second document, expected one/],
    ['another version', '%YAML 1.1\n---\na: no\n', /expected YAML 1.2/],
    ['a number as key', '5: {}\n', /expected text as key/],
    ['a list as key', '? [a]\n: {}\n', /expected text as key/],
    ['a merge of a text', 'a:\n  <<: canary\n', /expected << to name a map/],
  ])('%s', (_name, text, message) => {
    const error = errorOf(() => loadText(text))
    const [issue] = error.issues
    expect(issue?.message).toMatch(message)
    expect(issue).toMatchObject({
      file: 'database.yml',
      line: expect.any(Number),
      column: expect.any(Number),
    })
    // The parser's own messages show the text around a mistake; a password may stand there.
    expect(`${error.message}${error.stack}`).not.toContain('canary')
    expect(error.cause).toBeUndefined()
  })

  test('says line and column', () => {
    const { line, column } = issueOf(() => loadText('development:\n  master: "a" b\n'))
    expect([line, column]).toEqual([2, 15])
  })

  test.each([
    ['${PW}', 'development:\n  master: { port: 1, password: ${PW}, pool: 5 }\n', 2, 32],
    ["<%= ENV['PW'] %>", "development:\n  master: { password: <%= ENV['PW'] %> }\n", 2, 23],
    ['in a list', 'development:\n  master:\n    tags: [${A}, ${B}]\n', 3, 12],
    ['over lines', 'development:\n  master: {\n    password: ${PW},\n  }\n', 3, 15],
    ['with a colon', 'development:\n  master:\n    password: ${PW:-a: b}\n', 3, 15],
  ])('an unquoted expression: %s', (_name, text, line, column) => {
    expect(issuesOf(() => loadText(text))[0]).toMatchObject({
      message: expect.stringContaining('must be put in quotes, such as "${DB_PASSWORD}"'),
      line,
      column,
    })
  })
})

describe('duplicate keys', () => {
  test('of a node', () => {
    const text = MINIMAL.replace('    port: 5433', '    port: 5433\n    host: other')
    expect(issueOf(() => loadText(text))).toMatchObject({
      message: "duplicate key 'host', which is in line 5 already",
      path: 'development.replica1.host',
      line: 7,
      column: 5,
    })
  })

  test('of nodes and of environments, all at once', () => {
    const text = `${MINIMAL}  replica1: {}\n${MINIMAL}`
    expect(issuesOf(() => loadText(text)).map(({ path }) => path)).toEqual([
      'development.replica1',
      'development',
    ])
  })

  test('a key beside the same key from << is none', () => {
    const text = `base: &base { host: localhost, port: 1 }\ndevelopment:\n  master:\n    <<: *base\n    port: 2\n  replica1: *base\n`
    expect(loadText(text)).toMatchObject({ primary: { port: 2 }, replicas: [{ port: 1 }] })
  })
})

describe('anchors and <<', () => {
  test('what a map says itself wins, wherever << stands; of several, the first', () => {
    const text = `a: &a { port: 1, pool: 1, weight: 1 }
b: &b { port: 2, pool: 2, weight: 2, database: b }
development:
  master: { host: localhost, port: 9, <<: [*a, *b] }
  replica1: { <<: *b, <<: *a, host: localhost }
`
    const { primary, replicas } = loadText(text)
    expect(primary).toMatchObject({ port: 9, pool: 1, weight: 1, database: 'b' })
    expect(replicas[0]).toMatchObject({ port: 2, pool: 2, database: 'b' })
  })

  test('a whole environment', () => {
    const text = `${MINIMAL.replace('development:', 'development: &dev')}test:\n  <<: *dev\n  settings: { replica_share: 0 }\n`
    expect(loadText(text, { env: 'test' })).toMatchObject({
      environment: 'test',
      settings: { replicaShare: 0 },
      replicas: [{ name: 'replica1' }],
    })
  })

  test('an alias means the nearest anchor before it', () => {
    const text = `a: &a { port: 1 }\ndevelopment:\n  master: { host: localhost, <<: *a }\n  replica1: &a { host: localhost, port: 2 }\n  replica2: { <<: *a, port: 3 }\n`
    expect(loadText(text)).toMatchObject({ primary: { port: 1 }, replicas: [{}, { port: 3 }] })
  })

  test('a mistake in a template is named where it was written, with the path where it counts', () => {
    const text = `base: &base\n  host: localhost\n  pool: many\ndevelopment:\n  master:\n    <<: *base\n${rest}`
    expect(issueOf(() => loadText(text))).toMatchObject({
      path: 'development.master.pool',
      line: 3,
      column: 9,
    })
  })

  test('a text "<<" in quotes is a key like any other', () => {
    const text = MINIMAL.replace('    port', '    "<<": x\n    port')
    expect(issueOf(() => loadText(text)).message).toContain("unknown key '<<'")
  })
})

describe('input made to hurt', () => {
  test.each([
    ['in the environment', 'development:\n  master: *h\n'],
    ['beside a good environment', MINIMAL],
  ])('billion laughs %s', (_name, end) => {
    const levels = 'abcdefgh'.split('')
    const bomb = levels.map((name, index) => {
      const before = levels[index - 1]
      const items = Array.from({ length: 9 }, () => (before === undefined ? 'x' : `*${before}`))
      return `${name}: &${name} [${items.join(', ')}]\n`
    })
    expect(issuesOf(() => loadText(`${bomb.join('')}${end}`))[0]?.message).toMatch(
      /found more than 20000 values once its aliases are written out/,
    )
  })

  test.each([
    ['[', 20_000],
    ['- ', 100_000],
    ['? ', 100_000],
    ['{a: ', 50_000],
    ['a: ', 50_000],
    [': ', 100_000],
  ])('deep nesting by %j', (text, times) => {
    expect(issuesOf(() => loadText(text.repeat(times)))[0]?.message).toContain('32 levels')
  })

  test('deep nesting by aliases', () => {
    const lines = Array.from({ length: 40 }, (_, index) =>
      index === 0 ? 'k0: &k0 { a: x }' : `k${index}: &k${index} { a: *k${index - 1} }`,
    )
    expect(issuesOf(() => loadText(`${lines.join('\n')}\n`))[0]?.message).toContain('32 levels')
  })

  test('many keys', () => {
    const text = Array.from({ length: 19_000 }, (_, index) => `k${index}: 1`).join('\n')
    expect(issuesOf(() => loadText(`${MINIMAL}${text}\n`, { env: 'x' }))).toHaveLength(1)
  })

  test.each(['__proto__', 'constructor', 'prototype'])('%s is no key anywhere', (name) => {
    const texts = [
      `${MINIMAL}${name}: { polluted: yes }\n`,
      `${MINIMAL}  ${name}: { host: localhost, port: 1 }\n`,
      MINIMAL.replace('    port', `    ${name}: { polluted: yes }\n    port`),
      MINIMAL.replace('    port', `    <<: { ${name}: { polluted: yes } }\n    port`),
      MINIMAL.replace('    port', `    variables: { ${name}: x }\n    port`),
      `${MINIMAL}  settings: { ${name}: x }\n`,
    ]
    for (const text of texts) {
      expect(issuesOf(() => loadText(text))[0]?.message).toBe(`'${name}' cannot be a key`)
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('YAML 1.2: no and on are texts, 0777 is a number', () => {
    const text = MINIMAL.replace(
      '    port: 5433',
      '    port: 0777\n    database: no\n    username: on',
    )
    expect(loadText(text).replicas[0]).toMatchObject({ port: 777, database: 'no', username: 'on' })
  })
})
