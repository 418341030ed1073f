import { TestClusterError } from '../errors.ts'
import type { Installation } from './installation.ts'

/** The settings of every server of the test cluster; those of the caller come last and win. */
export const serverSettings = (
  { major, hasStatementStatistics }: Installation,
  replicas: number,
  given: Readonly<Record<string, string>>,
): Map<string, string> => {
  for (const name of Object.keys(given)) {
    if (/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/i.test(name)) continue
    throw new TestClusterError(`settings: '${name}' is not the name of a setting of PostgreSQL`)
  }
  return new Map(
    Object.entries({
      ...COMMON,
      max_wal_senders: String(replicas * 2 + 8),
      max_replication_slots: String(replicas * 2 + 8),
      ...(hasStatementStatistics && { shared_preload_libraries: 'pg_stat_statements' }),
      // Version 18 would start three processes more a server, for reads that memory answers here.
      ...(major >= 18 && { io_method: 'sync' }),
      ...given,
    }),
  )
}

const COMMON = Object.freeze({
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '32MB',
  // A killed server would leave other kinds of segments behind.
  dynamic_shared_memory_type: 'mmap',
  // A crash of the machine takes the data along anyway.
  fsync: 'off',
  jit: 'off',
  wal_level: 'replica',
  wal_keep_size: '32MB',
  max_wal_size: '256MB',
  hot_standby: 'on',
  hot_standby_feedback: 'off',
  // A lost neighbour is noticed, and found again, within seconds rather than a minute.
  wal_retrieve_retry_interval: '100ms',
  wal_receiver_status_interval: '1s',
  wal_sender_timeout: '2s',
  wal_receiver_timeout: '2s',
  log_line_prefix: '%m [%p] %q%u@%d/%a ',
})
