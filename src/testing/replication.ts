import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { copyData, writeOwned } from './files.ts'
import type { Installation } from './installation.ts'
import type { Server } from './server.ts'
import { type Access, rowsOf, until } from './sql.ts'

/** What belongs to the one server only, and what a copy of a running server must not contain. */
const OMITTED = {
  entries: [
    'postmaster.pid',
    'postmaster.opts',
    'backup_label',
    'tablespace_map',
    'standby.signal',
    'segregato.conf',
  ],
  contents: [
    'pg_wal',
    'pg_replslot',
    'pg_dynshmem',
    'pg_notify',
    'pg_serial',
    'pg_snapshots',
    'pg_stat_tmp',
    'pg_subtrans',
  ],
}

/** The name under which a replica keeps its place in the primary's log. */
const slotOf = (replica: Server): string => `segregato_${replica.name}`

/** A value of a connection string, which ends at a space otherwise. */
const quoted = (value: string): string => `'${value.replaceAll(/[\\']/g, '\\$&')}'`

/** Points a replica at a primary, without a delay; takes effect at its next start or `reload()`. */
export const pointAt = (replica: Server, primary: Server, access: Access): void => {
  replica.settings.set(
    'primary_conninfo',
    `host=127.0.0.1 port=${primary.port} user=${access.user} password=${quoted(access.password)} application_name=${replica.name} ` +
      'sslmode=disable gssencmode=disable connect_timeout=2',
  )
  replica.settings.set('primary_slot_name', slotOf(replica))
  replica.settings.delete('recovery_min_apply_delay')
}

/** Makes sure that the primary keeps its log for a replica from now on. */
export const reserve = async (client: Client, replica: Server): Promise<void> => {
  await client.query(
    `SELECT pg_create_physical_replication_slot($1, true)
     WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)`,
    [slotOf(replica)],
  )
}

/** Gives up a replica's place in a primary's log: it follows another one now. */
export const release = async (client: Client, replica: Server): Promise<void> => {
  await client.query(
    'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active',
    [slotOf(replica)],
  )
}

/**
 * Makes the data directories of replicas from a running primary: the steps of `pg_basebackup`, which
 * the packaged binaries lack. All replicas share one backup.
 */
export const cloneFrom = async (
  client: Client,
  primary: Server,
  replicas: readonly Server[],
  { account }: Installation,
): Promise<void> => {
  for (const replica of replicas) await reserve(client, replica)
  await client.query("SELECT pg_backup_start('segregato', true)")
  for (const replica of replicas) {
    rmSync(replica.data, { recursive: true, force: true })
    copyData(primary.data, replica.data, account, OMITTED)
  }
  const { rows } = await client.query<{ labelfile: string }>(
    'SELECT labelfile FROM pg_backup_stop(false)',
  )
  for (const replica of replicas) {
    writeOwned(join(replica.data, 'backup_label'), rows[0]?.labelfile ?? '', account)
    writeOwned(join(replica.data, 'standby.signal'), '', account)
  }
}

/** Whether the directory is a replica's: the server itself removes this file when it is promoted. */
export const isReplica = (server: Server): boolean =>
  existsSync(join(server.data, 'standby.signal'))

/** Waits until the primary sends its log to all of these replicas. */
export const streaming = (client: Client, replicas: readonly Server[]): Promise<void> => {
  const names = replicas.map(({ name }) => name)
  return until(`replication to ${names.join(', ')}`, async () => {
    const { rows } = await client.query<{ count: number }>(
      `SELECT count(DISTINCT application_name)::int AS count FROM pg_stat_replication
       WHERE state = 'streaming' AND application_name = ANY($1)`,
      [names],
    )
    return rows[0]?.count === names.length
  })
}

/** How long a replica may take to find its place in another primary's history. */
const JOIN_LIMIT_MS = 10_000

/** How a server says that it has gone further than its new primary, or elsewhere. */
const DIVERGED = /forked off current database system timeline|is not in this server's history/

/**
 * Waits until a replica that was pointed at another primary has arrived on that one's timeline; false
 * when its history does not lead there. That it streams proves nothing: it starts at the head of a
 * segment, which is older than the point where histories part.
 */
export const joins = async (
  client: Client,
  replica: Server,
  access: Access,
  logBefore: number,
): Promise<boolean> => {
  const timeline = `SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline`
  const [wanted] = (await client.query<{ timeline: number }>(timeline)).rows
  const end = Date.now() + JOIN_LIMIT_MS
  while (Date.now() < end && !DIVERGED.test(replica.logText().slice(logBefore))) {
    const [row] = await rowsOf<{ timeline: number }>(
      { ...access, port: replica.port },
      "SELECT received_tli AS timeline FROM pg_stat_wal_receiver WHERE status = 'streaming' AND sender_port = $1",
      [access.port],
    )
    if (row?.timeline === wanted?.timeline) return true
    await sleep(20)
  }
  return false
}
