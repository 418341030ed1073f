/** The attacks of test/support/attacks.ts, made through a read model; and the scopes in which they are made. */
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { StrictReadBase } from '../../../src/models/strict-read-base.ts'

export const modelOn = (cluster: Cluster): typeof StrictReadBase =>
  class PostQuery extends StrictReadBase {
    static override tableName = 'posts'
    static override cluster = cluster
  }

type Way = (
  model: typeof StrictReadBase,
  text: string,
  values?: readonly unknown[],
) => Promise<unknown>

/** Of a SELECT its list, of any other command a select before it; what Knex adds is commented out. */
const asList = (text: string): string => {
  const list = /^SELECT (.*)$/s.exec(text)?.[1] ?? `1; ${text}`
  return `${list.replaceAll(/\$\d+/g, '?')} --`
}

export const WAYS: Readonly<Record<string, Way>> = {
  'the sql tag': (model, text, values = []) => {
    const strings = text.split(/\$\d+/)
    return model.sql(Object.assign(strings, { raw: strings }), ...values)
  },
  'raw SQL in query()': (model, text, values = []) =>
    model.query((qb) => qb.select(qb.client.raw(asList(text), values))),
}

type Outcomes = Promise<readonly PromiseSettledResult<unknown>[]>

/** What becomes of a read in each scope. A read-write transaction goes on after it, and commits. */
export const SCOPES: Readonly<
  Record<string, (cluster: Cluster, read: () => Promise<unknown>) => Outcomes>
> = {
  'outside of scopes': (_cluster, read) => Promise.allSettled([read()]),
  'inside transaction()': (cluster, read) =>
    cluster.transaction(() => Promise.allSettled([read()])),
  'inside a nested transaction()': (cluster, read) =>
    cluster.transaction(() => cluster.transaction(() => Promise.allSettled([read()]))),
  'inside transaction({ readOnly })': (cluster, read) =>
    Promise.allSettled([cluster.transaction(read, { readOnly: true })]),
  'inside a read-only transaction of a read-write one': (cluster, read) =>
    cluster.transaction(() => Promise.allSettled([cluster.transaction(read, { readOnly: true })])),
  'inside a transaction of a read-only one': (cluster, read) =>
    Promise.allSettled([
      cluster.transaction(() => cluster.transaction(read, { readOnly: true }), { readOnly: true }),
    ]),
  'inside snapshot()': (cluster, read) => Promise.allSettled([cluster.snapshot(read)]),
}
