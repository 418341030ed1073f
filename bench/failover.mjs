// How much later than the first possible moment writes go on after a failover, and what callers saw of it.
// usage: node bench/failover.mjs [rounds]   (`npm run build` first)
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { connect, WriteOutcomeUnknownError } from 'segregato'
import { startCluster } from 'segregato/testing'

const rounds = Number(process.argv[2] ?? 10)
const WRITERS = 8
const READERS = 4

const servers = await startCluster({ replicas: 2 })
const cluster = connect({ config: servers.config })
await cluster.writer.query('CREATE TABLE posts (id bigint PRIMARY KEY)')

const state = { stopped: false, writtenSince: undefined }
const counts = { written: 0, unknown: 0, failed: 0, reads: 0, failedReads: 0 }
let next = 0
const write = async () => {
  const id = next++
  try {
    await cluster.transaction(() => cluster.writer.query('INSERT INTO posts VALUES ($1)', [id]), {
      timeoutMs: 60_000,
    })
    counts.written++
    state.writtenSince ??= performance.now()
  } catch (error) {
    if (error instanceof WriteOutcomeUnknownError) counts.unknown++
    else counts.failed++
  }
}
const read = async () => {
  counts.reads++
  await cluster.reader.query('SELECT count(*) FROM posts').catch(() => counts.failedReads++)
  await sleep(5)
}
const forEver = async (work) => {
  while (!state.stopped) await work()
}
const load = [
  ...Array.from({ length: WRITERS }, () => forEver(write)),
  ...Array.from({ length: READERS }, () => forEver(read)),
]

/** The moment from which a plain connection finds that the server accepts writes. */
const opensAt = async ({ host, port, database, username: user, password }) => {
  const client = new pg.Client({ host, port, database, user, password })
  await client.connect()
  try {
    for (;;) {
      const { rows } = await client.query('SELECT pg_is_in_recovery() AS waiting')
      if (!rows[0].waiting) return performance.now()
      await sleep(2)
    }
  } finally {
    await client.end()
  }
}

const names = Object.keys(servers.config)
const added = []
for (let round = 0; round < rounds; round++) {
  const [primary, heir, other] = names
  await sleep(500)
  await servers.kill(primary)
  // Not before its absence is noticed.
  await sleep(100 + 200 * Math.random())
  state.writtenSince = undefined
  const [open] = await Promise.all([opensAt(servers.config[heir]), servers.promote(heir)])
  while (state.writtenSince === undefined) await sleep(5)
  added.push(state.writtenSince - open)
  await servers.follow(other, heir)
  await servers.follow(primary, heir)
  names.push(names.shift())
}
state.stopped = true
await Promise.all(load)
await cluster.close()
await servers.close()

const sorted = added.toSorted((a, b) => a - b)
const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
console.log(
  `added to the cluster's own gap, ${rounds} failovers: p50 ${at(0.5).toFixed(0)} ms, p99 ${at(0.99).toFixed(0)} ms`,
)
console.log(
  `writes: ${counts.written} done, ${counts.unknown} of unknown outcome, ${counts.failed} certainly not done; ` +
    `reads: ${counts.reads}, of them ${counts.failedReads} failed`,
)
