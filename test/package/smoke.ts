/** What runs on real servers in each scratch project; throws when anything is not as it should be. */
export const SMOKE = `
const assert = require('node:assert')
const { connect, StrictReadBase, StrictWriteBase, StrictReadModelError } = require('segregato')
const { startCluster } = require('segregato/testing')
const { readYourWrites, ready } = require('segregato/web')

class PostCommand extends StrictWriteBase { static tableName = 'posts' }
class PostQuery extends StrictReadBase { static tableName = 'posts' }

module.exports = async () => {
  const servers = await startCluster({ replicas: 1, onProgress: () => {} })
  const cluster = connect({ config: servers.config })
  try {
    await cluster.verify()
    await cluster.writer.query('CREATE TABLE posts (id int PRIMARY KEY, title text NOT NULL)')
    const post = await PostCommand.create({ id: 1, title: 'Hello' })
    assert.strictEqual(post.title, 'Hello')
    const read = await cluster.using('primary', () => PostQuery.find(1))
    assert.strictEqual(read.title, 'Hello')
    const { rows, routing } = await cluster.reader.query('SELECT pg_is_in_recovery() AS is_replica')
    assert.deepStrictEqual([rows[0].is_replica, routing.node], [true, 'replica1'])
    class Settings extends StrictReadBase { static tableName = 'pg_catalog.pg_settings' }
    const found = await Settings.query((qb) => qb.where({ name: 'port' }).select('name'))
    assert.strictEqual(found[0].name, 'port')
    assert.strictEqual(typeof readYourWrites(cluster), 'function')
    assert.deepStrictEqual((await (await ready(cluster).answer()).json()).status, 'ready')
    await assert.rejects(PostQuery.create({ id: 2 }), StrictReadModelError)
    await assert.rejects(cluster.reader.query('DELETE FROM posts'), { code: 'SEGREGATO_STRICT_READ' })
  } finally {
    await cluster.close()
    await servers.close()
  }
}
`
