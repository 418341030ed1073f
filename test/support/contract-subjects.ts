import type pg from 'pg'
import { Pool } from 'pg'
import type { Address, PoolName, Subject } from './contract.ts'

/** `pg.Pool` itself: what all others are measured against. */
export const pgPool = (server: Address): Subject => ({
  name: 'pg.Pool',
  server,
  open: async (options) => {
    const pool = new Pool({ ...server, ...options })
    const close = async (): Promise<void> => {
      if (!pool.ending) await pool.end()
    }
    return { pool, close }
  },
})

/** The servers of a cluster with one replica. */
export interface Servers {
  readonly primary: Address
  readonly replica: Address
}

/** `cluster.writer` or `cluster.reader` of a cluster of its own for each pool that is opened. */
export const clusterPool = (name: PoolName, { primary, replica }: Servers): Subject => {
  const server = name === 'writer' ? primary : replica
  return {
    name: `cluster.${name}`,
    server,
    open: async (options) => {
      // Not at the top: processes that measure pg.Pool alone do without it.
      const { connect } = await import('../../src/cluster/connect.ts')
      const { node, place, pool } = translate(options)
      const at = (address: Address) => ({
        ...node,
        ...addressed(address),
        ...(address === server ? place : {}),
      })
      const cluster = connect({ config: { master: at(primary), replica1: at(replica) }, pool })
      return { pool: cluster[name], close: () => cluster.close() }
    },
  }
}

const addressed = ({ user, ...address }: Address) => ({ ...address, username: user })

/** Options without those that are `undefined`. */
const defined = <T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never

/** What `pg.Pool` is told in one object goes to a node's keys and to the option `pool` of `connect()`. */
const translate = (options: pg.PoolConfig) => {
  const { host, port, user, password, database, max, connectionTimeoutMillis, ...others } = options
  const { idleTimeoutMillis, maxLifetimeSeconds, statement_timeout, application_name, ...pool } =
    others
  return {
    place: defined({ host, port, username: user, password, database }),
    node: defined({
      pool: max,
      connectTimeoutMs: connectionTimeoutMillis,
      idleTimeoutMs: idleTimeoutMillis ?? undefined,
      maxLifetimeMs: maxLifetimeSeconds === undefined ? undefined : maxLifetimeSeconds * 1000,
      statementTimeoutMs: statement_timeout === false ? undefined : statement_timeout,
      applicationName: application_name,
    }),
    pool: defined(pool),
  }
}
