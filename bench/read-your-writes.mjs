// How many of 10,000 rows are missing when they are read back at once: in one process with no set-up,
// and by another process that gets the token. Beside it: two plain pools, the split that people write by hand.
// usage: node bench/read-your-writes.mjs [rows]   (`npm run build` first; exits with 1 when a row is missed)
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { connect } from 'segregato'
import { startCluster } from 'segregato/testing'

const CONCURRENCY = 10
const READ = 'SELECT id FROM posts WHERE id = $1'
const WRITE = 'INSERT INTO posts VALUES ($1)'
const tokenKeys = [{ id: 'bench', secret: 'the same secret in both processes' }]

/** The other process: reads what it is told to, with the token that came along. */
const serve = () => {
  let cluster
  const answer = async ({ config, id, token }) => {
    if (config !== undefined) {
      cluster = connect({ config, tokenKeys })
      process.send('ready')
      return
    }
    const { rows, routing } = await cluster.session(() => cluster.reader.query(READ, [id]), {
      token,
    })
    process.send({ id, missed: rows.length === 0, role: routing.role })
  }
  process.on('message', (message) => void answer(message))
}

const spread = async (rows, work) => {
  const startedAt = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (next < rows) await work(next++)
    }),
  )
  return performance.now() - startedAt
}

const report = (name, rows, ms, { missed, replicas }) =>
  console.log(
    `${name}: ${missed} of ${rows} missed, ${((100 * replicas) / rows).toFixed(0)} % read from replicas, ` +
      `${Math.round((1_000 * rows) / ms)} pairs a second`,
  )

const main = async () => {
  const rows = Number(process.argv[2] ?? 10_000)
  const servers = await startCluster({ replicas: 2, pool: CONCURRENCY })
  const cluster = connect({ config: servers.config, tokenKeys })
  await cluster.writer.query('CREATE TABLE posts (id int PRIMARY KEY)')
  let missedAtAll = 0

  const pools = Object.values(servers.config).map(
    ({ username: user, pool: max, ...node }) => new pg.Pool({ ...node, user, max }),
  )
  const [primary, ...replicas] = pools
  const plain = { missed: 0, replicas: rows }
  let turn = 0
  const plainMs = await spread(rows, async (index) => {
    const id = 1_000_000 + index
    await primary.query(WRITE, [id])
    const found = await replicas[turn++ % replicas.length].query(READ, [id])
    if (found.rows.length === 0) plain.missed++
  })
  report('two plain pools', rows, plainMs, plain)
  await Promise.all(pools.map((pool) => pool.end()))

  for (const delayMs of [0, 20]) {
    for (const name of ['replica1', 'replica2']) await servers.setApplyDelay(name, delayMs)
    const lag = delayMs === 0 ? '' : `, replicas ${delayMs} ms late`
    const one = { missed: 0, replicas: 0 }
    const oneMs = await spread(rows, async (index) => {
      const id = 2_000_000 + delayMs * 100_000 + index
      await cluster.writer.query(WRITE, [id])
      const found = await cluster.reader.query(READ, [id])
      if (found.rows.length === 0) one.missed++
      if (found.routing.role === 'replica') one.replicas++
    })
    report(`one process${lag}`, rows, oneMs, one)

    const child = fork(fileURLToPath(import.meta.url), ['child'])
    child.send({ config: servers.config })
    await once(child, 'message')
    const waiting = new Map()
    child.on('message', (answer) => waiting.get(answer.id)?.(answer))
    const two = { missed: 0, replicas: 0 }
    const twoMs = await spread(rows, async (index) => {
      const id = 10_000_000 + delayMs * 100_000 + index
      const token = await cluster.session(async () => {
        await cluster.writer.query(WRITE, [id])
        return cluster.token()
      })
      const answer = await new Promise((resolve) => {
        waiting.set(id, resolve)
        child.send({ id, token })
      })
      waiting.delete(id)
      if (answer.missed) two.missed++
      if (answer.role === 'replica') two.replicas++
    })
    report(`two processes with the token${lag}`, rows, twoMs, two)
    child.kill()
    missedAtAll += one.missed + two.missed
  }
  await cluster.close()
  await servers.close()
  process.exitCode = missedAtAll === 0 ? 0 : 1
}

if (process.argv[2] === 'child') serve()
else await main()
