import type { DatabaseError } from 'pg'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { EXECUTE } from '../../../src/cluster/statement.ts'
import type { CallOptions, RoutedResult } from '../../../src/cluster/statement.ts'
import { RecordNotFoundError, WriteOutcomeUnknownError } from '../../../src/errors.ts'
import { parseLsn } from '../../../src/nodes/position.ts'
import type { Append, Outcome, Promised, Step } from '../history.ts'
import { APPEND, ListCommand, ListQuery, READ } from './library.ts'
import type { AppendedRow, ReadRow } from './library.ts'

/** One call of the library that is about to be made. */
export interface Planned {
  readonly cluster: Cluster
  readonly promised: Promised
  /** The appends in the order in which they are sent, with what the servers say about them. */
  readonly steps: Step[]
  readonly keys: readonly string[]
  /** Told how long the list of a key is. */
  readonly onLength: (key: string, length: number) => void
}

/** A way to make a call. */
export interface Way {
  readonly how: string
  readonly deadlineMs: number | undefined
  /** It stays on one server from its first statement to its last: nobody can go on elsewhere. */
  readonly bound?: boolean
  readonly make: (call: Planned) => Promise<void>
}

const READ_MS = 2_500
const WRITE_MS = 5_000

/** The options of the library for what a read is promised. */
const levelOf = (promised: Promised): CallOptions =>
  promised === 'strong' || promised === 'eventual' ? { consistency: promised } : {}

/** The first eight digits of a WAL file's name are the timeline. */
const timelineOf = (file: string): number => Number.parseInt(file.slice(0, 8), 16)

const noteAppend = (
  { steps, onLength }: Planned,
  index: number,
  row: AppendedRow | undefined,
): void => {
  const step = steps[index] as Append
  if (row === undefined) throw new Error('An append has returned no row')
  const lsn = parseLsn(row.lsn)
  steps[index] = {
    ...step,
    server: { port: row.port, inRecovery: row.recovery },
    timeline: timelineOf(row.file),
    ...(lsn === undefined ? {} : { lsn }),
  }
  onLength(step.key, row.v.length)
}

const noteRead = (
  { steps, onLength }: Planned,
  key: string,
  { rows: [row] }: RoutedResult<ReadRow>,
): void => {
  if (row === undefined) throw new Error('A read has returned no row')
  steps.push({
    type: 'read',
    key,
    values: row.v,
    server: { port: row.port, inRecovery: row.recovery },
    ...(row.file === null ? {} : { timeline: timelineOf(row.file) }),
  })
  onLength(key, row.v.length)
}

const valuesOf = (call: Planned, index: number): [string, number] => {
  const { key, value } = call.steps[index] as Append
  return [key, value]
}

export const READS: Readonly<
  Record<'statement' | 'pool' | 'model' | 'using' | 'transaction' | 'snapshot', Way>
> = {
  statement: {
    how: 'read by statement',
    deadlineMs: READ_MS,
    make: async (call) => {
      const [key] = call.keys as [string]
      const result = await call.cluster.reader[EXECUTE]<ReadRow & object>(
        { text: READ, values: [key] },
        { timeoutMs: READ_MS, ...levelOf(call.promised) },
      )
      noteRead(call, key, result)
    },
  },
  pool: {
    how: 'read by pool',
    deadlineMs: undefined,
    make: async (call) => {
      const [key] = call.keys as [string]
      const result = await call.cluster.reader.query<ReadRow>(READ, [key])
      noteRead(call, key, result)
    },
  },
  model: {
    how: 'read by model',
    deadlineMs: READ_MS,
    make: async (call) => {
      const [key] = call.keys as [string]
      const query = ListQuery.with({ timeoutMs: READ_MS, ...levelOf(call.promised) })
      const values = await query.find(key).then(
        ({ v }) => v,
        (error: unknown) => {
          if (error instanceof RecordNotFoundError) return []
          throw error
        },
      )
      call.steps.push({ type: 'read', key, values })
    },
  },
  using: {
    how: 'read by using(primary)',
    deadlineMs: READ_MS,
    make: async (call) => {
      const [key] = call.keys as [string]
      const result = await call.cluster.using('primary', () =>
        call.cluster.reader[EXECUTE]<ReadRow & object>(
          { text: READ, values: [key] },
          { timeoutMs: READ_MS },
        ),
      )
      noteRead(call, key, result)
    },
  },
  transaction: {
    how: 'read in a transaction',
    deadlineMs: READ_MS,
    bound: true,
    make: (call) => {
      const [key] = call.keys as [string]
      return call.cluster.transaction(
        async () => noteRead(call, key, await call.cluster.reader.query<ReadRow>(READ, [key])),
        { timeoutMs: READ_MS },
      )
    },
  },
  snapshot: {
    how: 'read in a snapshot',
    deadlineMs: undefined,
    bound: true,
    make: (call) => {
      const [key] = call.keys as [string]
      return call.cluster.snapshot(async () =>
        noteRead(call, key, await call.cluster.reader.query<ReadRow>(READ, [key])),
      )
    },
  },
}

export const WRITES: Readonly<Record<'statement' | 'pool' | 'model' | 'transaction', Way>> = {
  statement: {
    how: 'write by statement',
    deadlineMs: WRITE_MS,
    make: async (call) => {
      const result = await call.cluster.writer[EXECUTE]<AppendedRow & object>(
        { text: APPEND, values: valuesOf(call, 0) },
        { timeoutMs: WRITE_MS },
      )
      noteAppend(call, 0, result.rows[0])
    },
  },
  pool: {
    how: 'write by pool',
    deadlineMs: undefined,
    make: async (call) => {
      const result = await call.cluster.writer.query<AppendedRow>(APPEND, valuesOf(call, 0))
      noteAppend(call, 0, result.rows[0])
    },
  },
  model: {
    how: 'write by model',
    deadlineMs: WRITE_MS,
    make: async (call) => {
      const [k, value] = valuesOf(call, 0)
      noteAppend(call, 0, await ListCommand.create({ k, v: [value] }, { timeoutMs: WRITE_MS }))
    },
  },
  transaction: {
    how: 'transaction',
    deadlineMs: WRITE_MS,
    make: (call) =>
      call.cluster.transaction(
        async () => {
          const appends = call.steps.length
          for (let index = 0; index < appends; index++) {
            const result = await call.cluster.writer.query<AppendedRow>(
              APPEND,
              valuesOf(call, index),
            )
            noteAppend(call, index, result.rows[0])
          }
          const [key] = call.keys as [string]
          noteRead(call, key, await call.cluster.reader.query<ReadRow>(READ, [key]))
        },
        { timeoutMs: WRITE_MS },
      ),
  },
}

/** What the library claims with an error: everything but its own `unknown` is certainly not done. */
export const outcomeOf = (how: string, error: unknown): Exclude<Outcome, 'ok' | 'open'> => {
  if (error instanceof WriteOutcomeUnknownError) return 'unknown'
  // Pools pass PostgreSQL's errors as they are: here the caller has to know what they leave open.
  const { severity, code } = error as Partial<DatabaseError>
  const ended = severity === 'FATAL' && ['57P01', '57P02', '57P03'].includes(code ?? '')
  return how === WRITES.pool.how && ended ? 'unknown' : 'failed'
}
