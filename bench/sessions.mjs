// What sessions cost: a mixed load at level `session` beside the same at `eventual` and beside plain
// pg, interleaved in one run on the embedded cluster. Then how long a write takes to be seen by a read
// of its process, and how many of 10,000 inserts read back at once are missed.
// Throughput is what a server gets done that has more callers than connections. With no more callers than
// connections the same run shows latency instead: there is nothing else to do while a replica replays.
// usage: node bench/sessions.mjs [rounds] [callers,…]   (`npm run build` first)
import pg from 'pg'
import { connect, StrictReadBase, StrictWriteBase } from 'segregato'
import { startCluster } from 'segregato/testing'

const rounds = Number(process.argv[2] ?? 9)
const POOL = 10
const callers = (process.argv[3] ?? `${3 * POOL},${POOL}`).split(',').map(Number)
const BATCH = 4_000
/** A process that serves is warm: until its code is compiled each side runs at half its speed. */
const WARM_UP = 20_000
/** One statement in this many writes. */
const WRITE_EVERY = 5

const servers = await startCluster({ replicas: 2, pool: POOL })
const open = (consistency) => connect({ config: { ...servers.config, settings: { consistency } } })
const session = open('session')
const eventual = open('eventual')
await session.writer.query('CREATE TABLE posts (id int PRIMARY KEY, title text)')
await session.writer.query(
  "INSERT INTO posts SELECT n, 'post ' || n FROM generate_series(1, 1000) n",
)
const modelsOf = (cluster) => ({
  PostCommand: class PostCommand extends StrictWriteBase {
    static tableName = 'posts'
    static cluster = cluster
  },
  PostQuery: class PostQuery extends StrictReadBase {
    static tableName = 'posts'
    static cluster = cluster
  },
})
const plain = ({ host, port, database, username: user, password }) =>
  new pg.Pool({ host, port, database, user, password, max: POOL })
const [primary, ...replicas] = Object.values(servers.config).map(plain)

let turn = 0
let id = 0
let inserted = 1_000_000
const nextId = () => (id = (id % 1_000) + 1)
const SELECT = 'SELECT * FROM posts WHERE id = $1'
const INSERT = 'INSERT INTO posts (id, title) VALUES ($1, $2) RETURNING *'

const byPools = (reader, writer) => ({
  read: () => reader().query(SELECT, [nextId()]),
  write: () => writer.query(INSERT, [inserted++, 'x']),
})
const byModels = ({ PostCommand, PostQuery }) => ({
  read: () => PostQuery.find(nextId()),
  write: () => PostCommand.create({ id: inserted++, title: 'x' }),
})
/** Two pools in turn: the split that people write by hand. */
const byHand = () => replicas[turn++ % replicas.length]
const SIDES = {
  pools: {
    pg: byPools(byHand, primary),
    eventual: byPools(() => eventual.reader, eventual.writer),
    session: byPools(() => session.reader, session.writer),
  },
  models: {
    pg: {
      read: () => byHand().query({ name: 'find', text: SELECT, values: [nextId()] }),
      write: () => primary.query({ name: 'create', text: INSERT, values: [inserted++, 'x'] }),
    },
    eventual: byModels(modelsOf(eventual)),
    session: byModels(modelsOf(session)),
  },
}

const mixed = async ({ read, write }, statements, concurrency) => {
  let left = statements
  const startedAt = performance.now()
  const worker = async () => {
    while (left-- > 0) await (left % WRITE_EVERY === 0 ? write() : read())
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return (statements / (performance.now() - startedAt)) * 1_000
}
const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.floor(values.length * q)]
const median = (values) => quantile(values, 0.5)

const compare = async (name, sides, concurrency) => {
  const names = Object.keys(sides)
  const speeds = Object.fromEntries(names.map((side) => [side, []]))
  for (const side of names) await mixed(sides[side], WARM_UP, concurrency)
  for (let round = 0; round < rounds; round++) {
    // In another order each time: none of them is always the first or the last.
    const order = names.map((_, index) => names[(index + round) % names.length])
    for (const side of order) speeds[side].push(await mixed(sides[side], BATCH, concurrency))
  }
  const ratio = (one, other) =>
    median(speeds[one].map((speed, round) => speed / speeds[other][round])).toFixed(2)
  console.log(
    `${name}, ${concurrency} callers on pools of ${POOL}, 1 write in ${WRITE_EVERY}: ` +
      names.map((side) => `${side} ${median(speeds[side]).toFixed(0)}/s`).join(', ') +
      `; session / eventual ${ratio('session', 'eventual')}, eventual / pg ${ratio('eventual', 'pg')}, session / pg ${ratio('session', 'pg')}`,
  )
}

for (const concurrency of callers)
  for (const [name, sides] of Object.entries(SIDES)) await compare(name, sides, concurrency)

const READ_BACKS = 10_000
let missed = 0
const roles = { primary: 0, replica: 0 }
const seenAfter = []
for (let count = 0; count < READ_BACKS; count++) {
  const key = inserted++
  await session.writer.query('INSERT INTO posts VALUES ($1, $2)', [key, 'x'])
  const committedAt = performance.now()
  const result = await session.reader.query(SELECT, [key])
  seenAfter.push(performance.now() - committedAt)
  roles[result.routing.role]++
  if (result.rows.length === 0) missed++
}
console.log(
  `insert read back at once: ${missed} of ${READ_BACKS} missed; seen after p50 ` +
    `${quantile(seenAfter, 0.5).toFixed(2)} ms, p99 ${quantile(seenAfter, 0.99).toFixed(2)} ms ` +
    `(the read included); served by replicas ${roles.replica}, by the primary ${roles.primary}`,
)

await Promise.all([session.close(), eventual.close()])
await Promise.all([primary, ...replicas].map((pool) => pool.end()))
await servers.close()
