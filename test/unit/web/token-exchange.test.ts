import { describe, expect, test, vi } from 'vitest'
import type { OpenSession } from '../../../src/cluster/session.ts'
import { InvalidArgumentError } from '../../../src/errors.ts'
import { createExchange } from '../../../src/web/exchange.ts'
import type { ReadYourWritesOptions } from '../../../src/web/exchange.ts'

const TOKEN = 's1.k1.7300000000000000000.1.0-3000148.sxyz12.abcdefghijklmnopqrstuv'

const tokenOf = (headers: Record<string, string | string[]>, options: ReadYourWritesOptions = {}) =>
  createExchange(options).tokenOf((name) => headers[name])

const session = (
  token: Promise<string | undefined> = Promise.resolve(TOKEN),
  { hasWritten = true, hasRead = false } = {},
): OpenSession => ({ hasWritten, hasRead, movedToken: () => token })

describe('a token in a request', () => {
  test.each<[string, Record<string, string | string[]>, string | undefined]>([
    ['nothing', {}, undefined],
    ['a cookie', { cookie: `segregato=${TOKEN}` }, TOKEN],
    ['a cookie among others', { cookie: `a=1; segregato=${TOKEN}; b=2` }, TOKEN],
    ['no spaces, or many', { cookie: `a=1;  segregato = ${TOKEN} ;b` }, TOKEN],
    ['another name', { cookie: `xsegregato=${TOKEN}; segregatox=${TOKEN}` }, undefined],
    ['another case of the name', { cookie: `Segregato=${TOKEN}` }, undefined],
    ['nothing in it', { cookie: 'segregato=' }, undefined],
    ['no equals sign', { cookie: 'segregato' }, undefined],
    ['line breaks', { cookie: `segregato=${TOKEN}\r\nSet-Cookie: a=1` }, undefined],
    ['a quoted one', { cookie: `segregato="${TOKEN}"` }, undefined],
    ['129 characters', { cookie: `segregato=${'x'.repeat(129)}` }, undefined],
    ['10 MB', { cookie: `segregato=${'x'.repeat(10_000_000)}` }, undefined],
    [
      '10 MB of cookies',
      { cookie: 'segregato=!; '.repeat(800_000) + `segregato=${TOKEN}` },
      undefined,
    ],
    ['two, of which the first is none', { cookie: `segregato=!; segregato=${TOKEN}` }, TOKEN],
    ['two of the same form', { cookie: `segregato=first; segregato=${TOKEN}` }, 'first'],
    ['a header that nobody has asked for', { 'x-seen': TOKEN }, undefined],
  ])('%s', (_name, headers, expected) => {
    expect(tokenOf(headers)).toBe(expected)
  })

  test.each<[string, Record<string, string | string[]>, string | undefined]>([
    ['the header', { 'x-seen': TOKEN }, TOKEN],
    ['the header before the cookie', { 'x-seen': TOKEN, cookie: 'seen=other' }, TOKEN],
    ['the cookie when the header is none', { 'x-seen': 'a b', cookie: `seen=${TOKEN}` }, TOKEN],
    ['a header that came twice', { 'x-seen': `${TOKEN}, ${TOKEN}` }, undefined],
    ['a header as an array', { 'x-seen': [TOKEN, TOKEN] }, undefined],
  ])('with a header called X-Seen: %s', (_name, headers, expected) => {
    expect(tokenOf(headers, { header: 'X-Seen', cookie: { name: 'seen' } })).toBe(expected)
  })

  test('without a cookie, cookies are not looked at', () => {
    expect(tokenOf({ cookie: `segregato=${TOKEN}` }, { cookie: false, header: 'x-seen' })).toBe(
      undefined,
    )
  })
})

describe('a token in a response', () => {
  test.each<[string, ReadYourWritesOptions, boolean, string]>([
    ['by itself', {}, false, 'Path=/; Max-Age=600; HttpOnly; SameSite=Lax'],
    ['over TLS', {}, true, 'Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure'],
    [
      'always over TLS',
      { cookie: { secure: true, sameSite: 'none', path: '/blog', domain: 'example.org' } },
      false,
      'Path=/blog; Domain=example.org; Max-Age=600; HttpOnly; SameSite=None; Secure',
    ],
    [
      'never, and for a short time',
      { cookie: { secure: false, sameSite: 'strict', maxAgeMs: 1_001 } },
      true,
      'Path=/; Max-Age=2; HttpOnly; SameSite=Strict',
    ],
  ])('a cookie: %s', async (_name, options, isEncrypted, attributes) => {
    const fields = await createExchange(options).fieldsOf(session(), isEncrypted)
    expect(fields).toEqual([
      { name: 'Set-Cookie', value: `segregato=${TOKEN}; ${attributes}`, isAdded: true },
    ])
  })

  test('a header, alone or too', async () => {
    const header = { name: 'x-seen', value: TOKEN, isAdded: false }
    const alone = createExchange({ header: 'X-Seen', cookie: false })
    expect(await alone.fieldsOf(session(), false)).toEqual([header])
    const both = await createExchange({ header: 'X-Seen' }).fieldsOf(session(), false)
    expect(both.map(({ name }) => name)).toEqual(['x-seen', 'Set-Cookie'])
  })

  test('nothing when the session has not moved', async () => {
    const exchange = createExchange({ onTokenMissing: () => expect.unreachable() })
    expect(await exchange.fieldsOf(session(Promise.resolve(undefined)), false)).toEqual([])
  })

  test('what is waited for: writes, and reads when asked to', () => {
    const nothing = session(undefined, { hasWritten: false })
    const read = session(undefined, { hasWritten: false, hasRead: true })
    const usual = createExchange({})
    expect([nothing, read, session()].map(usual.isNeeded)).toEqual([false, false, true])
    const monotonic = createExchange({ monotonicReads: true })
    expect([nothing, read, session()].map(monotonic.isNeeded)).toEqual([false, true, true])
  })

  test('a token that does not come, or fails, is told and not waited for', async () => {
    const onTokenMissing = vi.fn()
    const exchange = createExchange({ timeoutMs: 1, onTokenMissing })
    expect(await exchange.fieldsOf(session(new Promise(() => {})), false)).toEqual([])
    expect(onTokenMissing).toHaveBeenLastCalledWith(undefined)
    const error = new Error('no primary')
    expect(await exchange.fieldsOf(session(Promise.reject(error)), false)).toEqual([])
    expect(onTokenMissing).toHaveBeenLastCalledWith(error)
    expect(onTokenMissing).toHaveBeenCalledTimes(2)
  })
})

describe('options that would not work', () => {
  test.each<[string, unknown]>([
    ['neither a cookie nor a header', { cookie: false }],
    ['a header with a line break', { header: 'x\r\ny' }],
    ['an empty header', { header: '' }],
    ['a name with a semicolon', { cookie: { name: 'a;b' } }],
    ['a name with an equals sign', { cookie: { name: 'a=b' } }],
    ['a path with a semicolon', { cookie: { path: '/; Domain=x' } }],
    ['a path with a line break', { cookie: { path: '/\r\nX: y' } }],
    ['a relative path', { cookie: { path: 'blog' } }],
    ['a domain with a semicolon', { cookie: { domain: 'a;b' } }],
    ['no time', { cookie: { maxAgeMs: 0 } }],
    ['NaN', { cookie: { maxAgeMs: NaN } }],
    ['for ever', { cookie: { maxAgeMs: Infinity } }],
    ['an unknown sameSite', { cookie: { sameSite: 'sometimes' } }],
    ['sameSite none without TLS', { cookie: { sameSite: 'none' } }],
    ['secure as a text', { cookie: { secure: 'yes' } }],
    ['a __Host- cookie with a path', { cookie: { name: '__Host-a', path: '/a', secure: true } }],
    ['a __Secure- cookie that is not', { cookie: { name: '__Secure-a', secure: false } }],
    ['no time to wait', { timeoutMs: 0 }],
    ['a text to wait', { timeoutMs: '1s' }],
  ])('%s', (_name, options) => {
    expect(() => createExchange(options as ReadYourWritesOptions)).toThrow(InvalidArgumentError)
  })
})
