import { describe, expect, test } from 'vitest'
import { connectionsAllowed, connectionsNeeded } from '../../../src/cli/check-connections.ts'
import { FINDING_CODES } from '../../../src/cli/check-facts.ts'
import type { CheckFacts, NodeAnswer, NodeReport } from '../../../src/cli/check-facts.ts'
import { findingsOf } from '../../../src/cli/check-rules.ts'
import type { StandbyInspection } from '../../../src/nodes/inspection.ts'

const LIMITS = { maxConnections: 100, reserved: 3, roleLimit: undefined, databaseLimit: undefined }

const STANDBY: StandbyInspection = {
  replayed: 100n,
  replayPaused: false,
  streaming: true,
  hotStandbyFeedback: true,
  maxStandbyStreamingDelayMs: 30_000,
  applyDelayMs: 0,
  slotName: 'r1',
}

const SLOT = { name: 'r1', active: true, walStatus: 'reserved', retainedBytes: 16 }

const server = (change: Partial<NodeAnswer['server']>): NodeAnswer['server'] => ({
  inRecovery: false,
  readOnly: false,
  systemIdentifier: '7',
  version: '18.1',
  startedAt: '1.0',
  ...change,
})

const report = (
  name: string,
  role: 'primary' | 'replica',
  answer: NodeAnswer,
  change: Partial<NodeReport> = {},
): NodeReport =>
  ({
    name,
    role,
    host: 'db',
    port: 5432,
    username: 'app',
    pool: 5,
    pgbouncer: false,
    answer,
    ...change,
  }) as NodeReport

interface Change {
  readonly primary?: Partial<NodeAnswer>
  readonly primaryServer?: Partial<NodeAnswer['server']>
  readonly replica?: Partial<NodeAnswer>
  readonly replicaServer?: Partial<NodeAnswer['server']>
  readonly standby?: Partial<StandbyInspection>
  readonly node?: Partial<NodeReport>
  readonly facts?: Partial<CheckFacts>
}

/** A primary and a replica in the best of states, with one thing changed. */
const facts = (change: Change = {}): CheckFacts => ({
  nodes: [
    report('master', 'primary', {
      server: server(change.primaryServer ?? {}),
      limits: LIMITS,
      standby: undefined,
      slots: [SLOT],
      positions: true,
      lag: undefined,
      ...change.primary,
    }),
    report(
      'r1',
      'replica',
      {
        server: server({ inRecovery: true, startedAt: '2.0', ...change.replicaServer }),
        limits: LIMITS,
        standby: { ...STANDBY, ...change.standby },
        slots: undefined,
        positions: undefined,
        lag: { bytes: 0, ms: 2, caughtUp: true },
        ...change.replica,
      },
      change.node,
    ),
  ],
  allowSameServer: false,
  maxLagMs: undefined,
  processes: 1,
  ...change.facts,
})

const bad = (change: Change): readonly string[] =>
  findingsOf(facts(change))
    .filter(({ severity }) => severity !== 'ok')
    .map(({ severity, code, node }) => `${severity} ${code} ${node}`)

test('in the best of states everything is ok, and nothing points to the documentation', () => {
  const findings = findingsOf(facts())
  expect(findings.filter(({ severity, docs }) => severity !== 'ok' || docs !== undefined)).toEqual(
    [],
  )
  expect(new Set(findings.map(({ code }) => code))).toEqual(
    new Set([
      'role',
      'identity',
      'streaming',
      'lag',
      'slot',
      'hot-standby-feedback',
      'max-standby-streaming-delay',
      'connections',
    ]),
  )
})

test.each<[string, Change, readonly string[]]>([
  ['a master in recovery', { primaryServer: { inRecovery: true } }, ['problem role master']],
  ['a read-only master', { primaryServer: { readOnly: true } }, ['problem role master']],
  [
    'a replica that accepts writes',
    { replicaServer: { inRecovery: false }, replica: { standby: undefined } },
    ['problem role r1'],
  ],
  ['another system', { replicaServer: { systemIdentifier: '8' } }, ['problem identity r1']],
  ['one server', { replicaServer: { startedAt: '1.0' } }, ['problem same-server r1']],
  ['an old version', { replicaServer: { version: '13.9 (Debian)' } }, ['note version r1']],
  ['no receiver', { standby: { streaming: false } }, ['problem streaming r1']],
  ['paused', { standby: { replayPaused: true } }, ['problem replay-paused r1']],
  ['an apply delay', { standby: { applyDelayMs: 1_000 } }, ['warning apply-delay r1']],
  [
    'not caught up',
    { replica: { lag: { bytes: 5e6, ms: 1_000, caughtUp: false } } },
    ['warning lag r1'],
  ],
  [
    'behind the limit',
    { replica: { lag: { bytes: 9, ms: 600, caughtUp: true } }, facts: { maxLagMs: 500 } },
    ['note max-standby-streaming-delay r1', 'warning lag r1'].toReversed(),
  ],
  ['no slot', { standby: { slotName: '' }, primary: { slots: [] } }, ['note slot r1']],
  [
    'a slot that is not there',
    { standby: { streaming: false }, primary: { slots: [] } },
    ['problem streaming r1', 'problem slot r1'],
  ],
  ['a slot elsewhere', { primary: { slots: [] } }, ['note slot r1']],
  ['a lost slot', { primary: { slots: [{ ...SLOT, walStatus: 'lost' }] } }, ['problem slot r1']],
  [
    'a slot about to be lost',
    { primary: { slots: [{ ...SLOT, walStatus: 'unreserved' }] } },
    ['warning slot r1'],
  ],
  ['a slot not in use', { primary: { slots: [{ ...SLOT, active: false }] } }, ['warning slot r1']],
  [
    'a forgotten slot',
    { primary: { slots: [SLOT, { ...SLOT, name: 'old', active: false }] } },
    ['warning unused-slot master'],
  ],
  ['a slot of somebody else', { primary: { slots: [SLOT, { ...SLOT, name: 'backup' }] } }, []],
  ['no positions', { primary: { positions: false } }, ['note unknown master']],
  ['no feedback', { standby: { hotStandbyFeedback: false } }, ['note hot-standby-feedback r1']],
  [
    'no delay, no feedback',
    { standby: { hotStandbyFeedback: false, maxStandbyStreamingDelayMs: 0 } },
    ['warning max-standby-streaming-delay r1'],
  ],
  ['no delay, feedback', { standby: { maxStandbyStreamingDelayMs: 0 } }, []],
  [
    'delay without limit',
    { standby: { maxStandbyStreamingDelayMs: -1 } },
    ['warning max-standby-streaming-delay r1'],
  ],
  [
    'a delay longer than the lag limit',
    { facts: { maxLagMs: 10_000 } },
    ['note max-standby-streaming-delay r1'],
  ],
  ['too many processes', { facts: { processes: 9 } }, ['problem connections master']],
  ['a pooler', { node: { pgbouncer: true } }, ['note connections r1']],
  [
    'nothing known',
    {
      replicaServer: { systemIdentifier: undefined, startedAt: undefined },
      replica: { limits: undefined, lag: undefined },
      standby: {
        replayed: undefined,
        replayPaused: undefined,
        streaming: undefined,
        hotStandbyFeedback: undefined,
        maxStandbyStreamingDelayMs: undefined,
        applyDelayMs: undefined,
        slotName: undefined,
      },
    },
    ['note unknown r1'],
  ],
  ['slots not known', { primary: { slots: undefined } }, ['note unknown master']],
  [
    'no answer',
    {
      node: {
        answer: undefined,
        failure: { kind: 'unreachable', reason: 'ECONNREFUSED' },
      } as unknown as Partial<NodeReport>,
    },
    ['problem unreachable r1'],
  ],
  [
    'let in never',
    {
      node: {
        answer: undefined,
        failure: { kind: 'refused', reason: '28P01' },
      } as unknown as Partial<NodeReport>,
    },
    ['problem refused r1'],
  ],
])('%s', (_, change, expected) => {
  expect(bad(change)).toEqual(expected)
})

test('what is not in order names the heading of its code; the worst comes first', () => {
  const findings = findingsOf(
    facts({
      standby: { hotStandbyFeedback: false, replayPaused: true, applyDelayMs: 5 },
      primaryServer: { readOnly: true },
    }),
  )
  const severities = findings.map(({ severity }) => severity).filter((one) => one !== 'ok')
  expect(severities).toEqual(['problem', 'problem', 'warning', 'note'])
  for (const { severity, code, docs } of findings)
    expect(docs).toBe(severity === 'ok' ? undefined : `docs/command-line.md#${code}`)
})

describe('allow_same_server', () => {
  const one: Change = {
    replicaServer: { inRecovery: false, startedAt: '1.0' },
    replica: { standby: undefined },
    facts: { allowSameServer: true },
  }

  test('a replica may be the server of the master, and their connections add up', () => {
    expect(bad(one)).toEqual([])
    const { message } = findingsOf(facts(one)).find(({ code }) => code === 'connections')!
    expect(message).toBe('17 of 97 connections')
  })

  test('it may not be another primary', () => {
    expect(bad({ ...one, replicaServer: { inRecovery: false, startedAt: '3.0' } })).toEqual([
      'problem role r1',
    ])
  })
})

describe('connections', () => {
  test('the primary has pools to write and to read, every process one connection more', () => {
    expect(connectionsNeeded({ role: 'primary', pool: 10 }, 4)).toBe(84)
    expect(connectionsNeeded({ role: 'replica', pool: 10 }, 4)).toBe(44)
  })

  test.each([
    [{}, 97, /max_connections/],
    [{ roleLimit: 20 }, 20, /role/],
    [{ databaseLimit: 15 }, 15, /database/],
    [{ roleLimit: 20, databaseLimit: 15 }, 15, /database/],
    [{ roleLimit: 200 }, 97, /max_connections/],
    [{ roleLimit: 0 }, 0, /role/],
  ])('the lowest limit counts: %j', (change, count, limit) => {
    const allowed = connectionsAllowed({ ...LIMITS, ...change })
    expect(allowed.count).toBe(count)
    expect(allowed.limit).toMatch(limit)
  })

  test('exactly as many as there are is enough', () => {
    expect(bad({ primary: { limits: { ...LIMITS, roleLimit: 11 } } })).toEqual([])
    expect(bad({ primary: { limits: { ...LIMITS, roleLimit: 10 } } })).toEqual([
      'problem connections master',
    ])
  })
})

test('codes are fit for a heading', () => {
  for (const code of FINDING_CODES) expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/)
})
