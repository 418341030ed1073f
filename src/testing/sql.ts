import { Client, type QueryResultRow } from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { TestClusterError } from '../errors.ts'

/** Where and as whom statements about the cluster itself are sent. */
export interface Access {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database?: string
}

/** One connection for `fn`, closed afterwards. */
export const withClient = async <T>(
  access: Access,
  fn: (client: Client) => Promise<T>,
): Promise<T> => {
  const client = new Client({
    host: '127.0.0.1',
    ssl: false,
    database: 'postgres',
    application_name: 'segregato/testing',
    connectionTimeoutMillis: 10_000,
    ...access,
  })
  // A server that is killed meanwhile: the statement's own promise tells.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await fn(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** The rows of one statement. */
export const rowsOf = <Row extends QueryResultRow>(
  access: Access,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> =>
  withClient(access, async (client) => (await client.query<Row>(text, [...values])).rows)

/** Asks again until it is so. */
export const until = async (
  what: string,
  isSo: () => Promise<boolean>,
  limitMs = 30_000,
): Promise<void> => {
  const end = Date.now() + limitMs
  while (!(await isSo())) {
    if (Date.now() > end) throw new TestClusterError(`Not within ${limitMs} ms: ${what}`)
    await sleep(10)
  }
}
