import { AsyncLocalStorage } from 'node:async_hooks'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { connect } from '../../../src/cluster/connect.ts'
import { StrictReadBase } from '../../../src/models/strict-read-base.ts'
import { StrictWriteBase } from '../../../src/models/strict-write-base.ts'
import type { WorkerStart } from '../messages.ts'

/** The lists: unique numbers by key. What else a row says is where it was written first. */
export const TABLE = `CREATE TABLE la (
  k text PRIMARY KEY,
  v int[] NOT NULL,
  port int DEFAULT inet_server_port(),
  recovery boolean DEFAULT pg_is_in_recovery(),
  lsn text DEFAULT pg_current_wal_insert_lsn()::text,
  file text DEFAULT pg_walfile_name(pg_current_wal_insert_lsn()))`

export const APPEND = `INSERT INTO la AS l (k, v) VALUES ($1, ARRAY[$2::int])
  ON CONFLICT (k) DO UPDATE SET v = l.v || excluded.v
  RETURNING v, inet_server_port() AS port, pg_is_in_recovery() AS recovery,
    pg_current_wal_insert_lsn()::text AS lsn,
    pg_walfile_name(pg_current_wal_insert_lsn()) AS file`

/** What the server says about an append. */
export interface AppendedRow {
  readonly v: readonly number[]
  readonly port: number
  readonly recovery: boolean
  readonly lsn: string
  readonly file: string
}

export const READ = `SELECT coalesce(v, '{}') AS v, inet_server_port() AS port, pg_is_in_recovery() AS recovery,
    CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_insert_lsn()) END AS file
  FROM (SELECT $1::text AS wanted) AS one LEFT JOIN la ON k = wanted`

export interface ReadRow {
  readonly v: readonly number[]
  readonly port: number
  readonly recovery: boolean
  /** Of a primary: its timeline is in the name. */
  readonly file: string | null
}

let present: Cluster | undefined
const cluster = (): Cluster => {
  if (present === undefined) throw new Error('The worker has not been started')
  return present
}

export class ListQuery extends StrictReadBase {
  static override tableName = 'la'
  static override primaryKey = 'k'
  static override cluster = cluster
  declare k: string
  declare v: number[]
}

export class ListCommand extends StrictWriteBase implements AppendedRow {
  static override tableName = 'la'
  static override primaryKey = 'k'
  static override cluster = cluster
  declare k: string
  declare v: number[]
  declare port: number
  declare recovery: boolean
  declare lsn: string
  declare file: string
}

/** What the library says of where a call ran. */
export interface Record {
  node?: string
  role?: 'primary' | 'replica'
  reason?: string
  /** The library has said that the process's session could not be met. */
  isStale?: boolean
}

const records = new AsyncLocalStorage<Record>()

/** Makes a call whose last statement's record is kept: models give none with their results. */
export const recording = <T>(record: Record, call: () => Promise<T>): Promise<T> =>
  records.run(record, call)

const note = (facts: Record): void => void Object.assign(records.getStore() ?? {}, facts)

/** The library as the worker uses it. */
export const openLibrary = ({ config, tokenSecret }: WorkerStart): Cluster => {
  present = connect({
    config: config as never,
    tokenKeys: [{ id: 'chaos', secret: tokenSecret }],
  })
  present.events.on('query', ({ node, role, reason }) => note({ node, role, reason }))
  // A snapshot's own record says only that it is one.
  present.events.on('stale', () => note({ isStale: true }))
  return present
}
