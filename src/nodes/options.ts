import type { ConnectionOptions } from 'node:tls'
import type { ClientBase, ClientConfig, PoolConfig } from 'pg'
import type { Questioned } from './state.ts'
import type { NodeConfig, SslConfig } from '../config/types.ts'
import type { PositionQuestion } from './position-question.ts'
import type { Lsn } from './position.ts'

/**
 * What a connection is for. Connections for reads are read-only on every server; those for control
 * run the library's own questions, which include whether the server lets its sessions write.
 */
export type Purpose = 'read' | 'write' | 'control'

/**
 * Is told of a statement that is about to be sent on a connection, and sends it. `ended`, when there is
 * one, is to be called with what it failed with, or nothing.
 */
export type Watch = (
  text: string | undefined,
  send: (ended: ((error: Error | undefined) => void) | undefined) => void,
) => void

/** The options of `pg.Pool` that a cluster passes on to every node's connections. */
export type PoolOptions = Pick<
  PoolConfig,
  'min' | 'maxUses' | 'onConnect' | 'verify' | 'log' | 'types'
>

/** A statement that may write, and whose position somebody may need. */
export interface FollowedWrite {
  /**
   * The question for its position that is to be sent with it, which costs no message of its own;
   * `undefined`: it is asked another time, together with others.
   *
   * @param asynchronous - its commit may not wait for its flush
   */
  question(asynchronous: boolean): PositionQuestion | undefined
  /** To be called when it has committed, before its caller gets the result. @param lsn - the answer */
  committed(asynchronous: boolean, lsn: Lsn | undefined): void
}

/** Called before a statement is sent that may write. `undefined`: nobody needs to know. */
export type BeginWrite = () => FollowedWrite | undefined

/**
 * Asked about each new connection for reading or writing before it is first lent: an address may
 * lead to another server than the last time. What it throws is what the caller gets.
 */
export type Admit = (client: Questioned, purpose: Purpose) => Promise<void>

/** Told what each connection hears about its server: at its start, and with the next answer after a change. */
export type OnRecovery = (inRecovery: boolean) => void

/** What a connection tells whoever opened it. */
export interface ClientHooks {
  readonly beginWrite?: BeginWrite | undefined
  readonly onRecovery?: OnRecovery | undefined
  /**
   * Called with each notice on a connection for writing; true: what is being committed is on this
   * server, and perhaps on no other one.
   */
  readonly noticed?: ((notice: object) => boolean) | undefined
  /** Told of each connection before it is made. */
  readonly onOpen?: ((client: ClientBase) => void) | undefined
}

/** What our client class reads from the options that `pg.Pool` hands it. */
export interface NodeClientConfig extends ClientConfig {
  readonly segregato: { readonly node: NodeConfig; readonly purpose: Purpose } & ClientHooks
}

/**
 * The options of a `pg.Client` for one node. Single fields, never a connection string: `pg` shows
 * that one in `inspect` and JSON, with the password in it.
 */
export const clientOptions = (
  node: NodeConfig,
  purpose: Purpose,
  hooks: ClientHooks = {},
): NodeClientConfig => ({
  host: node.host,
  port: node.port,
  database: node.database,
  user: node.username,
  // Asked at each new connection.
  password: () => passwordOf(node),
  ssl: node.ssl === false ? false : sslOptions(node.ssl),
  application_name: node.applicationName,
  options: startupOptions(node, purpose),
  connectionTimeoutMillis: node.connectTimeoutMs,
  keepAlive: true,
  keepAliveInitialDelayMillis: 1_000,
  segregato: { node, purpose, ...hooks },
})

/** What password functions and files have failed with: it passes unchanged, and is known again by this. */
const passwordFailures = new WeakSet<object>()

/** Whether a connection could not be made since its password could not be had. */
export const isPasswordFailure = (error: Error): boolean => passwordFailures.has(error)

/** A node's password; '' for none, which keeps `pg` from looking for a `.pgpass` of its own. */
export const passwordOf = async (node: NodeConfig): Promise<string> => {
  try {
    return (await node.password.reveal()) ?? ''
  } catch (error) {
    if (typeof error === 'object' && error !== null) passwordFailures.add(error)
    throw error
  }
}

/** Run-time parameters as start-up options. A pooler such as PgBouncer refuses them, so it gets none. */
const startupOptions = (node: NodeConfig, purpose: Purpose): string => {
  if (node.pgbouncer) return ''
  const parameters = {
    ...node.variables,
    ...(node.statementTimeoutMs === undefined
      ? {}
      : { statement_timeout: String(node.statementTimeoutMs) }),
    ...(purpose === 'read' ? { default_transaction_read_only: 'on' } : {}),
  }
  return Object.entries(parameters)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`)
    .join(' ')
}

const sslOptions = ({
  rejectUnauthorized,
  verifyHost,
  ca,
  cert,
  key,
}: SslConfig): ConnectionOptions => ({
  rejectUnauthorized,
  ...(ca === undefined ? {} : { ca }),
  ...(cert === undefined ? {} : { cert }),
  ...(key === undefined ? {} : { key: key.text() }),
  ...(verifyHost ? {} : { checkServerIdentity: () => undefined }),
})
