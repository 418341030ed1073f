import { beforeAll, describe, expect, test } from 'vitest'
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { StrictReadModelError } from '../../../src/errors.ts'
import type { StrictReadBase } from '../../../src/models/strict-read-base.ts'
import { ATTACKED_TABLES, ATTACKS, expectUnchanged } from '../../support/attacks.ts'
import { closedPorts, useCluster, withDeadReplicas } from '../../support/cluster.ts'
import { modelOn, SCOPES, WAYS } from './attacks.ts'

const fixture = useCluster(ATTACKED_TABLES)

const PLACES: Readonly<Record<string, () => Promise<Cluster>>> = {
  'on a replica': async () => fixture.open(),
  'on the primary, all replicas down': async () => {
    const ports = await closedPorts(2)
    return fixture.open({}, (config) => withDeadReplicas(config, ports))
  },
  'on one server under two names': async () =>
    fixture.open({}, ({ master }) => ({
      master,
      replica1: master,
      settings: { allowSameServer: true },
    })),
}

describe.each(Object.entries(PLACES))('%s', (_place, open) => {
  let cluster: Cluster
  let PostQuery: typeof StrictReadBase
  beforeAll(async () => {
    cluster = await open()
    PostQuery = modelOn(cluster)
  })

  describe.each(Object.entries(SCOPES))('%s', (_scope, within) => {
    describe.each(Object.entries(WAYS))('%s', (_way, attack) => {
      test.each(ATTACKS)('%s is refused', async (_name, text, values) => {
        const [outcome] = await within(cluster, () => attack(PostQuery, text, values))
        expect(outcome).toMatchObject({
          status: 'rejected',
          reason: expect.any(StrictReadModelError) as unknown,
        })
        await expectUnchanged(fixture.db)
        expect(await PostQuery.count()).toBe(1)
      })
    })
  })
})
