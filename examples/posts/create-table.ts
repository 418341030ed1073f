/** Creates the table of `schema.sql` on the servers of `database.yml`. */
import { readFile } from 'node:fs/promises'
import { ConfigError, connect } from 'segregato'

const createTable = async (): Promise<void> => {
  await using cluster = connect()
  // Compiled programs lie in examples/dist/posts.
  const schema = new URL('../../posts/schema.sql', import.meta.url)
  await cluster.writer.query(await readFile(schema, 'utf8'))
  console.log('The table posts is there')
}

await createTable().catch((error: unknown) => {
  console.error(error instanceof ConfigError ? error.message : error)
  process.exitCode = 1
})
