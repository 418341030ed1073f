import { READ_ONLY_SQL_TRANSACTION } from '../nodes/client.ts'
import type { Fault } from './fault.ts'

/**
 * Everything that can go wrong between the library and a server, what it looks like, and what follows
 * from it. The only place that knows: whoever asks what an error means gets a row of this table. The
 * first row that fits counts. `test/faults/error-table.test.ts` injects every row.
 */

/** In the order in which they are looked at. */
export const FAULTS = [
  {
    name: 'password unavailable',
    places: ['connect'],
    signals: [{ password: true }],
    follows: { read: 'elsewhere', write: 'failed', node: 'disable', client: 'none' },
  },
  {
    name: 'connection refused',
    places: ['connect'],
    signals: [
      { from: 'client', codes: ['ECONNREFUSED', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH'] },
      { from: 'client', codes: ['ENOTFOUND', 'EAI_AGAIN', 'ENOENT'] },
    ],
    follows: { read: 'elsewhere', write: 'failed', node: 'eject', client: 'none' },
  },
  {
    // A timer of ours also fires when this process stood still: the node is asked first.
    name: 'connecting timed out',
    places: ['connect'],
    signals: [
      { from: 'client', codes: ['ETIMEDOUT'] },
      { messages: ['timeout expired', 'Connection terminated due to connection timeout'] },
    ],
    follows: { read: 'elsewhere', write: 'failed', node: 'suspect', client: 'none' },
  },
  {
    name: 'TLS mismatch',
    places: ['connect'],
    signals: [
      { from: 'client', codes: ['ERR_TLS*', 'ERR_SSL*', 'CERT_*', 'UNABLE_TO_*'] },
      { from: 'client', codes: ['DEPTH_ZERO_*', 'SELF_SIGNED_*', 'EPROTO'] },
      { messages: ['The server does not support SSL connections'] },
    ],
    follows: { read: 'elsewhere', write: 'failed', node: 'disable', client: 'none' },
  },
  {
    name: 'refused for good',
    places: ['connect'],
    signals: [
      { from: 'server', codes: ['28P01', '28000', '3D000'] },
      // No privilege to connect; a run-time parameter that the server does not know, or not with this value.
      { from: 'server, fatal', codes: ['42501', '42704', '22023'] },
      { messages: ['SASL: '] },
    ],
    follows: { read: 'elsewhere', write: 'failed', node: 'disable', client: 'none' },
  },
  {
    name: 'too many connections',
    places: ['connect'],
    signals: [{ from: 'server', codes: ['53300'] }],
    follows: { read: 'elsewhere', write: 'failed', node: 'cool down', client: 'none' },
  },
  {
    name: 'not accepting connections',
    places: ['connect'],
    signals: [{ from: 'server', codes: ['57P03', '57P01', '57P02'] }],
    follows: { read: 'elsewhere', write: 'failed', node: 'eject', client: 'none' },
  },
  {
    // Whoever had a connection did not give it back in time: overload, and the caller's time is used up.
    name: 'no free connection in time',
    places: ['connect'],
    signals: [{ messages: ['timeout exceeded when trying to connect'] }],
    follows: { read: 'caller', write: 'failed', node: 'none', client: 'none' },
  },
  {
    name: 'queue full',
    places: ['connect'],
    signals: [{ codes: ['SEGREGATO_POOL_EXHAUSTED'] }],
    follows: { read: 'replica', write: 'failed', node: 'none', client: 'none' },
  },
  {
    name: 'connecting cut',
    places: ['connect'],
    signals: [
      { from: 'client', codes: ['ECONNRESET', 'ECONNABORTED', 'EPIPE'] },
      { messages: ['Connection terminated'] },
      // Not a word that we know, but the server would not have us.
      { from: 'server, fatal', codes: ['*'] },
    ],
    follows: { read: 'elsewhere', write: 'failed', node: 'eject', client: 'none' },
  },
  {
    // Behind the address there is another server than the one that we look for: see `cluster/admission.ts`.
    name: 'another server',
    places: ['connect'],
    signals: [{ codes: ['SEGREGATO_VERIFICATION'] }],
    follows: { read: 'elsewhere', write: 'failed', node: 'eject', client: 'none' },
  },
  {
    name: 'node unresponsive while connecting',
    places: ['connect'],
    signals: [{ codes: ['SEGREGATO_NODE_UNRESPONSIVE'] }],
    follows: { read: 'elsewhere', write: 'failed', node: 'eject', client: 'none' },
  },
  {
    name: 'node unresponsive',
    places: ['statement'],
    signals: [{ codes: ['SEGREGATO_NODE_UNRESPONSIVE'] }],
    follows: { read: 'elsewhere', write: 'unknown', node: 'eject', client: 'cancel' },
  },
  {
    name: 'connection lost before sending',
    places: ['statement'],
    signals: [
      { messages: ['Client has encountered a connection error and is not queryable'] },
      { messages: ['Client was closed and is not queryable'] },
    ],
    follows: { read: 'elsewhere', write: 'failed', node: 'none', client: 'destroy' },
  },
  {
    name: 'read-only server or transaction',
    places: ['statement'],
    signals: [{ from: 'server', codes: [READ_ONLY_SQL_TRANSACTION] }],
    follows: { read: 'refused', write: 'failed', node: 'ask role', client: 'keep' },
  },
  {
    // Asked through the reader it is an attempt to write: the primary would let it pass.
    name: 'read-write on a standby',
    places: ['statement'],
    signals: [{ from: 'server', codes: ['0A000'], routines: ['call_bool_check_hook'] }],
    follows: { read: 'caller', write: 'failed', node: 'ask role', client: 'keep' },
  },
  {
    // What no standby can do, and changes nothing on a primary.
    name: 'only a primary can',
    // Also where every session is serializable: a new connection is asked who it is.
    places: ['connect', 'statement'],
    signals: [
      {
        from: 'server',
        codes: ['0A000'],
        routines: ['call_enum_check_hook', 'GetSerializableTransactionSnapshot'],
      },
      {
        from: 'server',
        codes: ['55000'],
        routines: ['pg_current_wal_*', 'pg_walfile_name*'],
      },
      { from: 'server', codes: ['XX000'], routines: ['GetNewObjectId'] },
    ],
    follows: { read: 'primary', write: 'failed', node: 'none', client: 'keep' },
  },
  {
    name: 'recovery conflict, connection ended',
    places: ['statement', 'idle'],
    signals: [{ from: 'server, fatal', codes: ['40001', '40P01'] }],
    follows: { read: 'elsewhere', write: 'failed', node: 'none', client: 'destroy' },
  },
  {
    // The SQLSTATE of a serialization failure too; the routines are those of PostgreSQL up to 16 and from 17 on.
    name: 'recovery conflict',
    places: ['statement'],
    signals: [
      {
        from: 'server',
        codes: ['40001'],
        routines: ['ProcessInterrupts', 'ProcessRecoveryConflictInterrupt'],
      },
    ],
    follows: { read: 'elsewhere', write: 'failed', node: 'none', client: 'keep' },
  },
  {
    name: 'serialization failure or deadlock',
    places: ['statement'],
    signals: [{ from: 'server', codes: ['40001', '40P01'] }],
    follows: { read: 'caller', write: 'failed', node: 'none', client: 'keep', repeat: true },
  },
  {
    name: 'failed transaction',
    places: ['statement'],
    signals: [{ from: 'server', codes: ['25P02'] }],
    follows: { read: 'caller', write: 'failed', node: 'none', client: 'keep' },
  },
  {
    name: 'statement cancelled',
    places: ['statement'],
    signals: [{ from: 'server', codes: ['57014'] }],
    follows: { read: 'caller', write: 'failed', node: 'none', client: 'keep' },
  },
  {
    name: 'lock timeout',
    places: ['statement'],
    signals: [{ from: 'server', codes: ['55P03'] }],
    follows: { read: 'caller', write: 'failed', node: 'none', client: 'keep' },
  },
  {
    // Of a session or of a transaction: it was rolled back with the connection.
    name: 'session timed out',
    places: ['statement', 'idle'],
    signals: [{ from: 'server, fatal', codes: ['25P03', '25P04', '57P05'] }],
    follows: { read: 'elsewhere', write: 'failed', node: 'none', client: 'destroy' },
  },
  {
    name: 'database dropped',
    places: ['statement', 'idle'],
    signals: [{ from: 'server, fatal', codes: ['57P04'] }],
    follows: { read: 'caller', write: 'unknown', node: 'none', client: 'destroy' },
  },
  {
    // Shut down, crashed, or ended by an administrator; later versions may have more words for it.
    name: 'connection ended by the server',
    places: ['statement', 'idle'],
    signals: [{ from: 'server, fatal', codes: ['57P01', '57P02', '*'] }],
    follows: { read: 'elsewhere', write: 'unknown', node: 'suspect', client: 'destroy' },
  },
  {
    name: 'connection lost',
    places: ['statement', 'idle'],
    signals: [
      { from: 'client', codes: ['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT'] },
      { from: 'client', codes: ['EHOSTUNREACH', 'ENETUNREACH'] },
      { messages: ['Connection terminated'] },
    ],
    follows: { read: 'elsewhere', write: 'unknown', node: 'suspect', client: 'destroy' },
  },
  {
    // Of `pg`, given by the caller: the statement goes on, and the caller's time is used up.
    name: 'query_timeout of pg',
    places: ['statement'],
    signals: [{ messages: ['Query read timeout'] }],
    follows: { read: 'caller', write: 'unknown', node: 'none', client: 'cancel' },
  },
  {
    name: 'other error of the server',
    places: ['connect', 'statement'],
    signals: [{ from: 'server' }],
    follows: { read: 'caller', write: 'failed', node: 'none', client: 'keep' },
  },
  {
    // Given up by its caller, refused before it was sent, or a value that `pg` cannot send.
    name: 'other error',
    places: ['connect', 'statement', 'idle'],
    signals: [{ from: 'client' }],
    follows: { read: 'caller', write: 'failed', node: 'none', client: 'destroy' },
  },
  {
    // The commit was not undone: an answer without an error is not enough to call it durable.
    name: 'synchronous wait cancelled',
    places: ['notice'],
    signals: [{ codes: ['01000'], routines: ['SyncRepWaitForLSN'] }],
    follows: { read: 'caller', write: 'local', node: 'none', client: 'keep' },
  },
  {
    // The connection ends after it, without an error.
    name: 'synchronous wait terminated',
    places: ['notice'],
    signals: [{ codes: ['57P01'], routines: ['SyncRepWaitForLSN'] }],
    follows: { read: 'elsewhere', write: 'local', node: 'suspect', client: 'destroy' },
  },
  {
    // An immediate shutdown, or the crash of another process; the connection ends after it, without an error.
    name: 'announced end',
    places: ['notice'],
    signals: [{ codes: ['57P01', '57P02'] }],
    follows: { read: 'elsewhere', write: 'unknown', node: 'suspect', client: 'destroy' },
  },
] as const satisfies readonly Fault[]

/** A row of the table. */
export type FaultName = (typeof FAULTS)[number]['name']
