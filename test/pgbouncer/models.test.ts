import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/cluster/connect.ts'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { StrictReadModelError } from '../../src/errors.ts'
import { StrictWriteBase } from '../../src/models/strict-write-base.ts'
import { modelOn, SCOPES, WAYS } from '../integration/models/attacks.ts'
import { ATTACKED_TABLES, ATTACKS, expectUnchanged } from '../support/attacks.ts'
import { closedPorts, useCluster, withDeadReplicas } from '../support/cluster.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'
import type { PgBouncer } from '../support/pgbouncer.ts'

const fixture = useCluster(`${ATTACKED_TABLES} CREATE TABLE notes (id int PRIMARY KEY, body text);`)
let pooler: PgBouncer
let direct: Cluster
let displaced: Cluster

beforeAll(async () => {
  pooler = await startPgBouncer(fixture.db.config)
  direct = connect({ config: pooler.config })
  displaced = connect({ config: withDeadReplicas(pooler.config, await closedPorts(2)) })
})
afterAll(async () => {
  await direct?.close()
  await displaced?.close()
  await pooler?.close()
})

describe.each([
  ['on a replica', () => direct],
  ['on the primary, all replicas down', () => displaced],
])('%s', (_place, cluster) => {
  describe.each(Object.entries(SCOPES))('%s', (_scope, within) => {
    describe.each(Object.entries(WAYS))('%s', (_way, attack) => {
      test.each(ATTACKS)('%s is refused', async (_name, text, values) => {
        const PostQuery = modelOn(cluster())
        const [outcome] = await within(cluster(), () => attack(PostQuery, text, values))
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

test('models write and read, one statement after another and in a transaction', async () => {
  class NoteCommand extends StrictWriteBase {
    static override tableName = 'notes'
    static override cluster = direct
    declare id: number
    declare body: string
  }
  class NoteQuery extends modelOn(direct) {
    static override tableName = 'notes'
    declare id: number
    declare body: string
  }
  const note = await NoteCommand.create({ id: 1, body: 'a' })
  await note.update({ body: 'b' })
  expect(await NoteQuery.find(1)).toMatchObject({ body: 'b' })
  await direct.transaction(async () => {
    await NoteCommand.create({ id: 2, body: 'c' })
    expect(await NoteQuery.where({ body: ['b', 'c'] }).count()).toBe(2)
  })
  expect(await NoteQuery.orderBy('id').pluck('body')).toEqual(['b', 'c'])
  const seen: number[] = []
  for await (const { id } of NoteQuery.orderBy('id').stream({ pageSize: 1 })) seen.push(id)
  expect(seen).toEqual([1, 2])
})
