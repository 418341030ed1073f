// Statements per second through the library beside plain pg, on the embedded cluster, in one run.
// usage: node bench/statements.mjs [rounds]   (`npm run build` first)
import pg from 'pg'
import { connect, StrictReadBase, StrictWriteBase } from 'segregato'
import { startCluster } from 'segregato/testing'

const rounds = Number(process.argv[2] ?? 7)
const BATCH = 2_000
const CONCURRENCY = 10

class PostCommand extends StrictWriteBase {
  static tableName = 'posts'
}
class PostQuery extends StrictReadBase {
  static tableName = 'posts'
}

const servers = await startCluster({ replicas: 2, pool: CONCURRENCY })
const cluster = connect({ config: servers.config })
await cluster.writer.query('CREATE TABLE posts (id int PRIMARY KEY, title text)')
await cluster.writer.query(
  "INSERT INTO posts SELECT n, 'post ' || n FROM generate_series(1, 1000) n",
)
const plain = ({ host, port, database, username: user, password }) =>
  new pg.Pool({ host, port, database, user, password, max: CONCURRENCY })
const [primary, one, two] = Object.values(servers.config).map(plain)
let turn = 0
let id = 1_000
const nextId = () => (id = (id % 1_000) + 1)
let inserted = 1_000_000
const TEXT = 'SELECT * FROM posts WHERE id = $1'

/** Each pair does the same, the first with pg alone: two pools in turn is the split that people write by hand. */
const PAIRS = {
  'read by pool': [
    () => (turn++ % 2 ? one : two).query(TEXT, [nextId()]),
    () => cluster.reader.query(TEXT, [nextId()]),
  ],
  'read by model': [
    () => (turn++ % 2 ? one : two).query({ name: 'find', text: TEXT, values: [nextId()] }),
    () => PostQuery.find(nextId()),
  ],
  'write by pool': [
    () => primary.query('INSERT INTO posts VALUES ($1, $2)', [inserted++, 'x']),
    () => cluster.writer.query('INSERT INTO posts VALUES ($1, $2)', [inserted++, 'x']),
  ],
  'write by model': [
    () =>
      primary.query('INSERT INTO posts (id, title) VALUES ($1, $2) RETURNING *', [inserted++, 'x']),
    () => PostCommand.create({ id: inserted++, title: 'x' }),
  ],
}

const time = async (work) => {
  const start = performance.now()
  let left = BATCH
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (left-- > 0) await work()
    }),
  )
  return BATCH / (performance.now() - start)
}
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

for (const [name, [alone, ours]] of Object.entries(PAIRS)) {
  await time(alone)
  await time(ours)
  const ratios = []
  const speeds = []
  for (let round = 0; round < rounds; round++) {
    const [a, b] = [await time(alone), await time(ours)]
    ratios.push(b / a)
    speeds.push([a, b])
  }
  const [a, b] = [0, 1].map((side) => (median(speeds.map((pair) => pair[side])) * 1_000).toFixed(0))
  console.log(`${name}: pg ${a}/s, segregato ${b}/s, ratio ${median(ratios).toFixed(2)}`)
}
await cluster.close()
await Promise.all([primary, one, two].map((pool) => pool.end()))
await servers.close()
