import type pg from 'pg'
import { describe, expectTypeOf, test } from 'vitest'
import type { Cluster, Routing } from '../../src/index.ts'

declare const cluster: Cluster

describe('the pools', () => {
  test('are pools of pg wherever one is wanted', () => {
    expectTypeOf(cluster.writer).toExtend<pg.Pool>()
    expectTypeOf(cluster.reader).toExtend<pg.Pool>()
  })

  test('tell in their results where these came from', async () => {
    const result = await cluster.reader.query<{ id: number }>('SELECT 1 AS id')
    expectTypeOf(result.routing).toEqualTypeOf<Routing>()
    expectTypeOf(result.rows).toEqualTypeOf<{ id: number }[]>()
    const list = await cluster.writer.query<[number]>({ text: 'SELECT 1', rowMode: 'array' })
    expectTypeOf(list.rows).toEqualTypeOf<[number][]>()
    expectTypeOf(list.routing.node).toEqualTypeOf<string>()
  })

  test('take callbacks as pg does', () => {
    cluster.reader.query('SELECT 1', (_error: Error, result: pg.QueryResult) => {
      expectTypeOf(result.rows).toBeArray()
    })
  })
})
