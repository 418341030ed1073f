// How many reads fail before their callers' eyes when a replica dies under load, and how long the
// slowest one takes. Rounds: the replica is killed, and restarted in order, while ten callers read.
// usage: node bench/replica-death.mjs [rounds]   (`npm run build` first; exits with 1 when a read has failed)
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'segregato'
import { startCluster } from 'segregato/testing'

const rounds = Number(process.argv[2] ?? 5)
const CALLERS = 10

const servers = await startCluster({ replicas: 2, pool: CALLERS })
const cluster = connect({ config: servers.config })
await cluster.writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
await cluster.writer.query('INSERT INTO posts SELECT generate_series(1, 1000)')

let reads = 0
const failures = new Map()
let slowestMs = 0
const work = new AbortController()
const call = async () => {
  while (!work.signal.aborted) {
    const startedAt = performance.now()
    try {
      const id = 1 + (reads++ % 1_000)
      const { rows } = await cluster.reader.query('SELECT id FROM posts WHERE id = $1', [id])
      if (rows.length !== 1) throw new Error('a row was missed')
    } catch (error) {
      const name = error.code ?? error.message
      failures.set(name, (failures.get(name) ?? 0) + 1)
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedAt)
  }
}
const callers = Array.from({ length: CALLERS }, call)
await sleep(500)

for (const [name, end] of [
  ['killed', 'kill'],
  ['stopped', 'stop'],
]) {
  failures.clear()
  reads = slowestMs = 0
  for (let round = 0; round < rounds; round++) {
    const replica = `replica${1 + (round % 2)}`
    await servers[end](replica)
    await sleep(500)
    await servers.start(replica)
    await sleep(1_500)
  }
  const failed = [...failures].map(([code, count]) => `${count} ${code}`).join(', ') || 'none'
  console.log(
    `a replica is ${name} ${rounds} times: failed reads of ${reads}: ${failed}; slowest ${Math.round(slowestMs)} ms`,
  )
  if (failures.size > 0) process.exitCode = 1
}
work.abort()
await Promise.all(callers)
await cluster.close()
await servers.close()
