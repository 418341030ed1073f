import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { connect } from '../../../src/cluster/connect.ts'
import { defaultCluster } from '../../../src/cluster/default-cluster.ts'
import { DefaultClusterError } from '../../../src/errors.ts'
import { StrictReadBase } from '../../../src/models/strict-read-base.ts'
import { StrictWriteBase } from '../../../src/models/strict-write-base.ts'
import { useCluster } from '../../support/cluster.ts'
import { freshDatabase } from '../../support/servers.ts'

const fixture = useCluster(
  `CREATE TABLE posts (id serial PRIMARY KEY, title text); INSERT INTO posts (title) VALUES ('here')`,
)

class PostQuery extends StrictReadBase {
  static override tableName = 'posts'
  declare id: number
  declare title: string
}

class PostCommand extends StrictWriteBase {
  static override tableName = 'posts'
  declare id: number
  declare title: string
}

afterEach(() => {
  vi.unstubAllEnvs()
})

test('models open the cluster that the environment names, once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'segregato-binding-'))
  try {
    await writeFile(join(folder, 'database.yml'), JSON.stringify({ staging: fixture.db.config }))
    vi.stubEnv('DB_CONFIG', join(folder, 'database.yml'))
    vi.stubEnv('DB_ENV', 'staging')
    const [posts, post] = await Promise.all([PostQuery.all(), PostCommand.create({ title: 'new' })])
    expect(posts[0]?.title).toBe('here')
    expect(post.id).toBe(2)
    expect(() => connect({ config: fixture.db.config as never })).toThrow(DefaultClusterError)
  } finally {
    await defaultCluster().close()
    await rm(folder, { recursive: true })
  }
})

test('without an own cluster models use the first one that is open', async () => {
  const first = fixture.open()
  fixture.open()
  expect(defaultCluster()).toBe(first)
  expect(await PostQuery.exists({ title: 'here' })).toBe(true)
  await first.close()
  expect(await PostQuery.exists({ title: 'here' })).toBe(true)
})

test('static cluster on an abstract class binds a family of models, and columns are learned anew', async () => {
  fixture.open()
  await using other = await freshDatabase()
  await other.admin.query(`CREATE TABLE posts (id int PRIMARY KEY, title text, place text)`)
  await other.admin.query(`INSERT INTO posts VALUES (1, 'there', 'p')`)
  await other.replicated()
  const elsewhere = connect({ config: other.config as never })
  abstract class Elsewhere extends StrictReadBase {
    static override cluster = () => elsewhere
  }
  class PlaceQuery extends Elsewhere {
    static override tableName = 'posts'
    declare place: string
  }
  try {
    expect(await PlaceQuery.where({ place: 'p' }).pluck('place')).toEqual(['p'])
    expect(await PostQuery.where({ title: 'there' }).count()).toBe(0)
    await expect(PostQuery.where({ place: 'p' } as never)).rejects.toThrow('no column "place"')
  } finally {
    await elsewhere.close()
  }
})
