import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  counted,
  formatAddress,
  formatBytes,
  formatFailure,
  formatMs,
} from '../../../src/cli/format.ts'
import { alignRows, colorsFor, toJson, wrapText } from '../../../src/cli/output.ts'
import { sparkline } from '../../../src/cli/sparkline.ts'

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_024, '1 kB'],
  [1_536, '1.5 kB'],
  [16 * 1_024 * 1_024, '16 MB'],
  [1_023.9 * 1_024, '1 MB'],
  [5e15, '4547 TB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

test.each([
  [0.4, '0 ms'],
  [999, '999 ms'],
  [999.7, '1 s'],
  [1_250, '1.3 s'],
  [30_000, '30 s'],
  [90_000, '1.5 min'],
  [59_990, '1 min'],
  [3_599_000, '1 h'],
  [864e5, '24 h'],
])('%d milliseconds are %s', (ms, text) => {
  expect(formatMs(ms)).toBe(text)
})

test('counts, addresses and failures', () => {
  expect([counted(1, 'note'), counted(2, 'note'), counted(0, 'process', 'processes')]).toEqual([
    '1 note',
    '2 notes',
    '0 processes',
  ])
  expect(formatAddress({ host: 'db', port: 1 })).toBe('db:1')
  expect(formatAddress({ host: '::1', port: 1 })).toBe('[::1]:1')
  expect(formatAddress({ host: '/run', port: 1 })).toBe('/run/.s.PGSQL.1')
  expect(
    formatFailure(Object.assign(new Error('connect ECONNREFUSED ::1:1'), { code: 'ECONNREFUSED' })),
  ).toBe('ECONNREFUSED')
  expect(formatFailure(Object.assign(new Error('no\u001b[31m entry\n'), { code: '28000' }))).toBe(
    '28000: no [31m entry ',
  )
  expect(formatFailure(Object.assign(new AggregateError([]), { code: 'ETIMEDOUT' }))).toBe(
    'ETIMEDOUT',
  )
  expect(formatFailure(new Error('timeout expired'))).toBe('timeout expired')
})

test('a graph has one character a sample, the newest at the right', () => {
  expect(sparkline([0, 50, 100, undefined], 10, 100)).toBe('▁▅█·')
  expect(sparkline([9, 9, 0], 2, 9)).toBe('█▁')
  expect(sparkline([200], 1, 100)).toBe('█')
  expect(sparkline([1], 1, 0)).toBe('▁')
})

describe('columns', () => {
  test('are as wide as their widest cell, colours not counted', () => {
    const red = (text: string): string => `<${text}>`
    expect(
      alignRows([
        ['a', 'b'],
        [{ text: 'long', paint: red }, 'c'],
        ['x', '', ''],
      ]),
    ).toEqual(['a     b', '<long>  c', 'x'])
  })

  test('a missing cell leaves its column empty', () => {
    expect(
      alignRows([
        ['a', 'b', 'c'],
        ['', '', 'd'],
      ]),
    ).toEqual(['a  b  c', '      d'])
  })
})

test('sentences break at spaces', () => {
  expect(wrapText('one two three', 7)).toEqual(['one two', 'three'])
  expect(wrapText('one', 1)).toEqual(['one'])
})

test('JSON says null for what is unknown, and keeps big numbers', () => {
  expect(JSON.parse(toJson({ a: undefined, b: 2n ** 64n }))).toEqual({
    a: null,
    b: '18446744073709551616',
  })
})

describe('colours', () => {
  afterEach(() => vi.unstubAllEnvs())
  const painted = (isTTY?: boolean): string =>
    colorsFor(isTTY === undefined ? {} : { isTTY }).red('x')

  test('FORCE_COLOR without a terminal, and NO_COLOR above it', () => {
    vi.stubEnv('NO_COLOR', undefined)
    vi.stubEnv('FORCE_COLOR', '1')
    expect(painted(false)).toBe('\u001b[31mx\u001b[39m')
    vi.stubEnv('FORCE_COLOR', '0')
    expect(painted(false)).toBe('x')
    vi.stubEnv('FORCE_COLOR', '1')
    vi.stubEnv('NO_COLOR', '1')
    expect(painted(false)).toBe('x')
  })

  test('in a terminal only, and not with NO_COLOR or a dumb one', () => {
    vi.stubEnv('NO_COLOR', undefined)
    vi.stubEnv('FORCE_COLOR', undefined)
    vi.stubEnv('TERM', 'xterm')
    vi.stubEnv('CI', 'true')
    expect(painted(true)).toBe('\u001b[31mx\u001b[39m')
    expect([painted(false), painted()]).toEqual(['x', 'x'])
    vi.stubEnv('NO_COLOR', '1')
    expect(painted(true)).toBe('x')
    vi.stubEnv('NO_COLOR', '')
    expect(painted(true)).not.toBe('x')
    vi.stubEnv('TERM', 'dumb')
    expect(painted(true)).toBe('x')
  })
})
