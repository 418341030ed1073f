import { Client } from 'pg'
import { inject } from 'vitest'
import type { TestNodeConfig } from '../../src/testing/start-cluster.ts'
import type { SharedCluster } from '../integration/global-setup.ts'

/** Sent by the test helpers themselves, and left out of statement logs. */
export const HELPER_NAME = 'segregato/test-helper'

/** The servers that all integration tests share. */
export const sharedCluster = (): SharedCluster => inject('segregatoCluster')

/** A new client, not yet connected, for one node of a configuration. */
export const clientFor = ({
  host,
  port,
  database,
  username: user,
  password,
}: TestNodeConfig): Client => {
  const client = new Client({ host, port, database, user, password, application_name: HELPER_NAME })
  client.on('error', () => undefined)
  return client
}

/** One connection to the server's maintenance database for `fn`. */
export const withClient = async <T>(
  node: TestNodeConfig,
  fn: (client: Client) => Promise<T>,
): Promise<T> => {
  const client = clientFor({ ...node, database: 'postgres' })
  await client.connect()
  try {
    return await fn(client)
  } finally {
    await client.end()
  }
}
