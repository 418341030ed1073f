/** What can be wrong, by the invariant that it breaks. */
export const FINDINGS = [
  'aborted-read',
  'acked-lost',
  'connection-leak',
  'duplicate',
  'failed-applied',
  'failed-read',
  'failed-write',
  'foreign-value',
  'fractured-read',
  'idle-in-transaction',
  'internal-error',
  'late',
  'memory-leak',
  'never-returned',
  'non-monotonic-read',
  'not-a-prefix',
  'not-alive',
  'process-complaint',
  'read-your-writes',
  'process-read-your-writes',
  'replicas-differ',
  'stale-primary-read',
  'two-primaries',
  'write-on-replica',
  'write-tried-on-replica',
  'wrong-record',
] as const
export type FindingKind = (typeof FINDINGS)[number]

/** Something that must not have happened, with the calls that show it. */
export interface Finding {
  readonly kind: FindingKind
  readonly message: string
  readonly operations: readonly string[]
}

export const finding = (
  kind: FindingKind,
  message: string,
  ...operations: readonly string[]
): Finding => ({ kind, message, operations })
