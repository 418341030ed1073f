import { expect, test } from 'vitest'
import { wrongServer } from '../../../src/routing/suitability.ts'

const server = (systemIdentifier: string | undefined, inRecovery: boolean) => ({
  systemIdentifier,
  inRecovery,
})

test.each([
  ['a standby of the cluster', server('1', true), server('1', false), false, undefined],
  ['a standby of another one', server('2', true), server('1', false), false, 'other-system'],
  ['no standby', server('1', false), server('1', false), false, 'not-in-recovery'],
  ['the primary again, as allowed', server('1', false), server('1', false), true, undefined],
  ['another primary, whatever is allowed', server('2', false), server('1', false), true, 'other-system'],
  ['a standby that does not tell', server(undefined, true), server('1', false), false, undefined],
  ['a standby of one that does not tell', server('2', true), server(undefined, false), false, undefined],
  ['nothing known of the primary', server('2', true), undefined, false, undefined],
  ['no standby, nothing known of the primary', server('2', false), undefined, false, 'not-in-recovery'],
] as const)('%s', (_, replica, primary, allowSameServer, expected) => {
  expect(wrongServer(replica, primary, allowSameServer)).toBe(expected)
}) // prettier-ignore
