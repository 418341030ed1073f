import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestNodeConfig } from '../../../src/testing/start-cluster.ts'
import type { Address, Check, PoolName, Subject } from '../../support/contract.ts'
import {
  compileContract,
  type CompiledContract,
  runInChild,
  type Task,
} from '../../support/contract-process.ts'
import { clusterPool, pgPool, type Servers } from '../../support/contract-subjects.ts'
import { freshDatabase, type FreshDatabase } from '../../support/servers.ts'
import { clientChecks } from './checks/clients.ts'
import { connectingChecks } from './checks/connecting.ts'
import { endingChecks } from './checks/ending.ts'
import { errorChecks } from './checks/errors.ts'
import { eventChecks } from './checks/events.ts'
import { failureChecks } from './checks/failures.ts'
import { hookChecks } from './checks/hooks.ts'
import { identityChecks } from './checks/identity.ts'
import { queryChecks } from './checks/queries.ts'
import { sizingChecks } from './checks/sizing.ts'
import { submittableChecks } from './checks/submittables.ts'
import { lifetimeChecks, timeoutChecks } from './checks/timeouts.ts'
import { scenarios } from './scenarios.ts'

const CHECKS: readonly Check[] = [
  ...identityChecks,
  ...queryChecks,
  ...clientChecks,
  ...submittableChecks,
  ...errorChecks,
  ...failureChecks,
  ...connectingChecks,
  ...eventChecks,
  ...sizingChecks,
  ...timeoutChecks,
  ...lifetimeChecks,
  ...hookChecks,
  ...endingChecks,
]

/** The servers of the testing kit, on a database of the file's own. */
const serversOf = ({ config }: FreshDatabase): Servers => {
  const address = ({ host, port, username, password, database }: TestNodeConfig): Address => ({
    host,
    port,
    user: username,
    password,
    database,
  })
  const { master, replica1 } = config
  if (replica1 === undefined) throw new Error('The shared cluster has no replica1')
  return { primary: address(master), replica: address(replica1) }
}

/** Asks `pg.Pool` for its facts and the pool of a cluster on the same server for the same ones. */
export const contractSuite = (name: PoolName): void => {
  let servers: Servers
  let reference: Subject
  let subject: Subject
  let db: FreshDatabase
  let compiled: CompiledContract
  beforeAll(async () => {
    compiled = await compileContract()
    db = await freshDatabase()
    servers = serversOf(db)
    reference = pgPool(name === 'writer' ? servers.primary : servers.replica)
    subject = clusterPool(name, servers)
  })
  afterAll(async () => {
    await db.drop()
    await compiled.remove()
  })

  const seen = new Map<string, Promise<unknown>>()
  /** Each check is run once only on pg.Pool, whichever test needs it first. */
  const ofReference = (key: string, run: () => Promise<unknown>): Promise<unknown> => {
    const known = seen.get(key)
    if (known !== undefined) return known
    const running = run()
    seen.set(key, running)
    return running
  }
  const inChild = (of: Task['subject'], scenario: string): Promise<unknown> =>
    runInChild(compiled, { subject: of, servers, scenario })
  const onServer = name === 'writer' ? 'pg.Pool on the primary' : 'pg.Pool on the replica'

  const cases = [
    ...CHECKS.map(({ name, run, expected, differences }) => ({
      title: name,
      expected,
      differences,
      onReference: () => run(reference),
      onSubject: () => run(subject),
    })),
    ...Object.entries(scenarios).map(([title, { expected, differences = {} }]) => ({
      title: `process: ${title}`,
      expected,
      differences,
      onReference: () => inChild(onServer, title),
      onSubject: () => inChild(name, title),
    })),
  ]

  describe('pg.Pool shows', () => {
    for (const { title, onReference, expected } of cases) {
      test(title, async () => {
        expect(await ofReference(title, onReference)).toEqual(expected)
      })
    }
  })
  describe(`cluster.${name} shows the same`, () => {
    for (const { title, onReference, onSubject, differences } of cases) {
      if (differences[name] !== undefined) continue
      test(title, async () => {
        expect(await onSubject()).toEqual(await ofReference(title, onReference))
      })
    }
  })
  describe(`cluster.${name} differs on purpose`, () => {
    for (const { title, onReference, onSubject, differences } of cases) {
      const difference = differences[name]
      if (difference === undefined) continue
      test(`${title}: ${difference.why}`, async () => {
        expect(await onSubject()).toEqual(difference.observed)
        expect(difference.observed).not.toEqual(await ofReference(title, onReference))
      })
    }
  })
}
