import type { History, Operation, Step } from '../history.ts'
import type { Random } from '../random.ts'
import type { FindingKind } from './finding.ts'
import {
  appendsOf,
  pick,
  finalOf,
  withFinal,
  withOperation,
  withRead,
  keptAppend,
  before,
  laterThan,
  failing,
  changeFirst,
} from './plant.ts'

/** A history with one thing made wrong; `undefined` when this history has no place for it. */
type Plant = (history: History, random: Random) => History | undefined

interface Planted {
  readonly name: string
  readonly kind: FindingKind
  readonly plant: Plant
}

const READ: readonly Step[] = [{ type: 'read', key: 'k0', values: [] }]
const WRITE: readonly Step[] = [{ type: 'append', key: 'k0', value: 999_999_999 }]
const writes = ({ steps }: Operation): boolean => steps.some(({ type }) => type === 'append')

export const PLANTED: readonly Planted[] = [
  {
    name: 'an acknowledged append is gone',
    kind: 'acked-lost',
    plant: (history, random) => {
      const kept = keptAppend(history, random)
      // Next to the point where histories part, the cluster may be the one that lost it.
      const end = history.branches[0]?.end ?? 0n
      if (kept?.step.timeline === 1 && (kept.step.lsn ?? 0n) + 1_000n > end && end > 0n)
        return undefined
      return (
        kept &&
        withFinal(history, kept.step.key, (list) => list.filter((one) => one !== kept.step.value))
      )
    },
  },
  {
    name: 'a write was repeated',
    kind: 'duplicate',
    plant: (history, random) => {
      const kept = keptAppend(history, random)
      return kept && withFinal(history, kept.step.key, (list) => [...list, kept.step.value])
    },
  },
  {
    name: 'a failed write was done',
    kind: 'failed-applied',
    plant: (history, random) => {
      const failed = pick(random, appendsOf(history, 'failed'))
      return failed && withFinal(history, failed.step.key, (list) => [...list, failed.step.value])
    },
  },
  {
    name: 'a value from nowhere is in the end',
    kind: 'foreign-value',
    plant: (history) => withFinal(history, 'k1', (list) => [...list, 888_888_888]),
  },
  {
    name: 'a value from nowhere was read',
    kind: 'foreign-value',
    plant: (history) =>
      withRead(history, { key: 'k1', values: [...finalOf(history, 'k1'), 888_888_888] }),
  },
  {
    name: 'a failed write was read',
    kind: 'aborted-read',
    plant: (history, random) => {
      const failed = pick(random, appendsOf(history, 'failed'))
      if (failed === undefined) return undefined
      const { key, value } = failed.step
      return withRead(history, { key, values: [...finalOf(history, key), value] })
    },
  },
  {
    name: 'a list was read in another order',
    kind: 'not-a-prefix',
    plant: (history) => {
      const list = finalOf(history, 'k2')
      const [first, second, ...rest] = list
      if (first === undefined || second === undefined) return undefined
      return withRead(history, { key: 'k2', values: [second, first, ...rest] })
    },
  },
  {
    name: 'a list was read with a hole',
    kind: 'not-a-prefix',
    plant: (history) => {
      const list = finalOf(history, 'k3')
      return list.length < 2 ? undefined : withRead(history, { key: 'k3', values: list.slice(1) })
    },
  },
  {
    name: 'a session did not see its own write',
    kind: 'read-your-writes',
    plant: (history, random) => {
      const kept = keptAppend(history, random)
      if (kept === undefined) return undefined
      const { operation, step } = kept
      const { session, process } = operation
      const values = before(history, step)
      return withRead(history, {
        key: step.key,
        values,
        session,
        process,
        at: laterThan(operation),
      })
    },
  },
  {
    name: 'a session did not see its own write in another process',
    kind: 'read-your-writes',
    plant: (history, random) => {
      const kept = keptAppend(history, random)
      if (kept === undefined) return undefined
      const { operation, step } = kept
      const { session } = operation
      const values = before(history, step)
      return withRead(history, {
        key: step.key,
        values,
        session,
        process: 'another',
        at: laterThan(operation),
      })
    },
  },
  {
    name: 'a list got shorter',
    kind: 'non-monotonic-read',
    plant: (history) => {
      const list = finalOf(history, 'k4')
      if (list.length === 0) return undefined
      const longer = withRead(history, { key: 'k4', values: list })
      return withRead(longer, { key: 'k4', values: list.slice(0, -1) })
    },
  },
  {
    name: 'a transaction was seen by halves',
    kind: 'fractured-read',
    plant: (history) => {
      const whole = history.operations.find(
        ({ outcome, steps }) =>
          outcome === 'ok' &&
          steps.filter(
            (step) => step.type === 'append' && finalOf(history, step.key).includes(step.value),
          ).length > 1,
      )
      const [one, other] = (whole?.steps ?? []).filter((step) => step.type === 'append')
      if (one === undefined || other === undefined) return undefined
      const seen = withRead(history, {
        key: one.key,
        values: [...before(history, one), one.value],
      })
      return withRead(seen, { key: other.key, values: before(history, other) })
    },
  },
  {
    name: 'a process did not see its own write',
    kind: 'process-read-your-writes',
    plant: (history, random) => {
      const kept = keptAppend(history, random)
      if (kept === undefined) return undefined
      const { operation, step } = kept
      return withRead(history, {
        key: step.key,
        values: before(history, step),
        process: operation.process,
        promised: 'process',
        at: laterThan(operation),
      })
    },
  },
  {
    name: 'the primary answered with the past',
    kind: 'stale-primary-read',
    plant: (history, random) => {
      const kept = keptAppend(history, random)
      if (kept === undefined) return undefined
      const { key, timeline } = kept.step
      const values = before(history, kept.step)
      return withRead(history, { key, values, promised: 'strong', timeline })
    },
  },
  {
    name: 'a process went back to an old timeline',
    kind: 'two-primaries',
    plant: (history) => {
      const last = history.operations.findLast((one) => one.outcome === 'ok' && writes(one))
      if (last === undefined) return undefined
      const newer = withOperation(history, {
        ...last,
        steps: last.steps.map((step) => (step.type === 'append' ? { ...step, timeline: 9 } : step)),
      })
      const at = laterThan(last)
      const older: Operation = {
        ...last,
        id: 'planted',
        session: 'planted',
        invoked: at,
        returned: at + 1,
        outcome: 'unknown',
        steps: [{ type: 'append', key: 'k0', value: 777_777_777, timeline: 8 }],
      }
      return { ...newer, operations: [...newer.operations, older] }
    },
  },
  {
    name: 'a write ran on a replica',
    kind: 'write-on-replica',
    plant: (history) =>
      changeFirst(history, writes, (operation) => ({
        ...operation,
        steps: operation.steps.map((step) =>
          step.type === 'append' ? { ...step, server: { port: 5432, inRecovery: true } } : step,
        ),
      })),
  },
  {
    name: 'a write was sent to a replica',
    kind: 'write-tried-on-replica',
    plant: (history) => ({ ...history, branches: [], refusedWrites: { replica2: 1 } }),
  },
  {
    name: 'the record names another server',
    kind: 'wrong-record',
    plant: (history) =>
      changeFirst(
        history,
        ({ role, steps }) => role === 'replica' && steps.length > 0,
        (operation) => ({
          ...operation,
          node: operation.node === 'replica1' ? 'replica2' : 'replica1',
        }),
      ),
  },
  {
    name: 'a call came back long after its deadline',
    kind: 'late',
    plant: (history) =>
      changeFirst(history, writes, (operation) => ({
        ...operation,
        returned: operation.invoked + 9_000,
      })),
  },
  {
    name: 'a call never came back',
    kind: 'never-returned',
    plant: (history) =>
      changeFirst(history, writes, (one) => ({ ...one, outcome: 'open', returned: undefined })),
  },
  {
    name: 'the library tripped over itself while servers were down',
    kind: 'internal-error',
    plant: (history) => {
      const failed = failing(history, WRITE, 'session')
      return {
        ...failed,
        operations: failed.operations.map((one) =>
          one.id === 'planted' ? { ...one, error: "TypeError: Cannot read 'x'" } : one,
        ),
      }
    },
  },
  {
    name: 'a call failed long after the last fault',
    kind: 'not-alive',
    plant: (history) => ({ ...failing(history, READ, 'eventual'), healedAt: -1e9 }),
  },
  {
    name: 'sessions are not served long after the last fault',
    kind: 'not-alive',
    plant: (history) => {
      const calm = failing(history, READ, 'session')
      const stale = calm.operations.map((one) =>
        one.id === 'planted' ? { ...one, error: 'SEGREGATO_STALE_REPLICAS' } : one,
      )
      return { ...calm, operations: stale, healedAt: stale.at(-1)!.invoked - 10_001 }
    },
  },
  {
    name: 'a read failed while others could serve it',
    kind: 'failed-read',
    plant: (history) => failing(history, READ, 'session'),
  },
  {
    name: 'a write failed for the fault of a replica',
    kind: 'failed-write',
    plant: (history) => failing(history, WRITE, 'session'),
  },
  {
    name: 'a connection was never given back',
    kind: 'connection-leak',
    plant: (history) => ({
      ...history,
      leftovers: [
        {
          process: 'p0',
          held: [{ node: 'master', purpose: 'read', total: 2, idle: 1, waiting: 0 }],
          backends: {},
          idleInTransaction: 0,
        },
      ],
    }),
  },
  {
    name: 'a server has connections that nobody knows of',
    kind: 'connection-leak',
    plant: (history) => ({
      ...history,
      leftovers: [{ process: 'p0', held: [], backends: { replica1: 1 }, idleInTransaction: 0 }],
    }),
  },
  {
    name: 'a transaction was left open',
    kind: 'idle-in-transaction',
    plant: (history) => ({
      ...history,
      leftovers: [{ process: 'p0', held: [], backends: {}, idleInTransaction: 1 }],
    }),
  },
  {
    name: 'the heap grows',
    kind: 'memory-leak',
    plant: (history) => ({
      ...history,
      heaps: history.heaps.map((heap) => ({ ...heap, bytes: heap.bytes + heap.at * 3e6 })),
    }),
  },
  {
    name: 'a process was warned',
    kind: 'process-complaint',
    plant: (history) => ({
      ...history,
      complaints: [{ process: 'p1', message: 'MaxListenersExceededWarning' }],
    }),
  },
  {
    name: 'a replica ended with another list',
    kind: 'replicas-differ',
    plant: (history) => withFinal(history, 'k5', (list) => [...list, 1], 'replica2'),
  },
]
