import { expect, test } from 'vitest'
import type { ServerState } from '../../../src/nodes/state.ts'
import { elect } from '../../../src/routing/election.ts'
import type { Incumbent } from '../../../src/routing/election.ts'

const NODES = 3

/** `P2`: accepts writes on timeline 2; `S2`: a standby of it; `R2`: a primary that is read-only. */
const parse = (text: string): Partial<ServerState> => ({
  inRecovery: text.startsWith('S'),
  readOnly: !text.startsWith('P'),
  ...(text.length > 1 && { timeline: Number(text[1]) }),
})

/** Answers of the nodes a, b and c in this order; `-`: none. */
const answers = (
  texts: string,
  more: Record<string, Partial<ServerState>> = {},
): Parameters<typeof elect<string>>[0] =>
  texts.split(' ').flatMap((text, index) => {
    const node = 'abc'[index]!
    const state = { systemIdentifier: '7', startedAt: node, ...parse(text), ...more[node] }
    return text === '-' ? [] : [{ node, state: state as ServerState }]
  })

const confirmed = (timeline: number | undefined, node = 'a'): Incumbent<string> => ({
  node,
  systemIdentifier: '7',
  timeline,
})

const verdict = (texts: string, incumbent = confirmed(2), more = {}, oneServer = false): string => {
  const result = elect(answers(texts, more), incumbent, NODES, oneServer)
  if (result.kind === 'primary') return result.node + (result.historyLost ? ' (history lost)' : '')
  if (result.kind === 'none') return `none${result.outdated.map((node) => ` not ${node}`).join('')}`
  return `split ${result.nodes.join(' ')}`
}

test.each([
  // The usual state, and a promotion.
  ['P2 S2 S2', 'a'],
  ['S2 P3 S2', 'b'],
  ['- P3 S3', 'b'],
  ['R2 P3 S3', 'b'],
  // The same server promoted after a restart (FAULTS P2).
  ['P3 S2 S2', 'a'],
  // Nobody accepts writes.
  ['- S2 S2', 'none'],
  ['S2 S2 S2', 'none'],
  ['R2 S2 S2', 'none'],
  ['- - -', 'none'],
  // A server of the past that came back while the confirmed one is away.
  ['- P1 -', 'none not b'],
  ['- P1 S2', 'none not b'],
  // A copy that was started by mistake: a promotion would have begun a new timeline.
  ['- P2 S2', 'none not b'],
  ['P2 P2 S2', 'a'],
  // Several claim it (FAULTS P5).
  ['P2 P1 S2', 'a'],
  ['P2 P3 S2', 'split a b'],
  ['P3 P3 S2', 'a'],
  ['- P3 P3', 'split b c'],
  ['- P3 P4', 'split b c'],
  ['P2 P3 P3', 'split a b c'],
  // The cluster went back: nobody knows timeline 2 any more (FAULTS P6).
  ['S1 P1 S1', 'b (history lost)'],
  ['P1 S1 S1', 'a (history lost)'],
  // Somebody may know it.
  ['S1 P1 -', 'none not b'],
  ['S1 P1 S2', 'none not b'],
  ['P1 P1 S1', 'none not a not b'],
])('%s -> %s', (texts, expected) => {
  expect(verdict(texts)).toBe(expected)
})

test('before a primary was ever confirmed, the one that the configuration names counts as such', () => {
  const unknown = { node: 'a', systemIdentifier: undefined, timeline: undefined }
  expect(verdict('P1 S1 S1', unknown)).toBe('a')
  expect(verdict('S3 P3 S3', unknown)).toBe('b')
  expect(verdict('P2 P1 S2', unknown)).toBe('a')
  expect(verdict('P1 P2 S2', unknown)).toBe('split a b')
  expect(verdict('- P1 P2', unknown)).toBe('split b c')
})

test('a server of another cluster is nobody', () => {
  expect(verdict('- P9 S2', confirmed(2), { b: { systemIdentifier: '8' } })).toBe('none')
  expect(verdict('P2 P9 S2', confirmed(2), { b: { systemIdentifier: '8' } })).toBe('a')
  // Not told: it may be.
  expect(verdict('- P9 S2', confirmed(2), { b: { systemIdentifier: undefined } })).toBe('b')
})

test('timelines that the servers do not tell do not count', () => {
  expect(verdict('S P S', confirmed(undefined))).toBe('b')
  expect(verdict('P P S', confirmed(undefined))).toBe('a')
  expect(verdict('- P P', confirmed(undefined))).toBe('split b c')
  expect(verdict('- P S', confirmed(2))).toBe('b')
})

test('one server under two names claims once', () => {
  expect(verdict('P3 P3 S3', confirmed(2), { b: { startedAt: 'a' } })).toBe('a')
  expect(verdict('P3 P3 S3', confirmed(2, 'b'), { b: { startedAt: 'a' } })).toBe('b')
})

test('with allow_same_server several names of one server are no split brain', () => {
  expect(verdict('P1 P1 P1', confirmed(1), {}, true)).toBe('a')
  expect(verdict('P1 P2 P1', confirmed(1), {}, true)).toBe('a')
  expect(verdict('- P1 P1', confirmed(1), {}, true)).toBe('b')
})
