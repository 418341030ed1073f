/** A cluster without servers: it notes what it is sent and answers what a test says. */
import type { QueryResultRow } from 'pg'
import {
  EXECUTE,
  PAGES,
  type CallOptions,
  type RoutedResult,
  type Statement,
} from '../../../src/cluster/statement.ts'
import type { ModelCluster } from '../../../src/models/binding.ts'

export interface Sent {
  readonly side: 'reader' | 'writer'
  readonly statement: Statement
  readonly options: CallOptions | undefined
}

export interface FakeCluster extends ModelCluster {
  readonly sent: Sent[]
  /** What was sent, without questions to the catalogue. */
  readonly texts: () => string[]
  transactions: number
}

export type Answer = (sent: Sent) => readonly QueryResultRow[] | Promise<readonly QueryResultRow[]>

/** Column names and types as the catalogue has them: `{ id: 'int4' }`. */
const catalogue = (types: Readonly<Record<string, string>>): QueryResultRow[] =>
  Object.entries(types).map(([name, type]) => ({
    name,
    type: type.replace('[]', ''),
    category: type.endsWith('[]') ? 'A' : type === 'text' ? 'S' : 'N',
    notNull: name === 'id',
  }))

export const isCatalogue = ({ statement }: Sent): boolean => statement.text.includes('pg_attribute')

export const fakeCluster = (
  types: Readonly<Record<string, string>>,
  answer: Answer = () => [],
): FakeCluster => {
  const sent: Sent[] = []
  const execute =
    (side: Sent['side']) =>
    async <Row extends QueryResultRow>(
      statement: Statement,
      options?: CallOptions,
    ): Promise<RoutedResult<Row>> => {
      const one = { side, statement, options }
      sent.push(one)
      const rows =
        isCatalogue(one) && Object.keys(types).length > 0 ? catalogue(types) : await answer(one)
      return { rows, rowCount: rows.length } as unknown as RoutedResult<Row>
    }
  const pages = async function* <Row extends QueryResultRow>(
    statement: Statement,
  ): AsyncGenerator<Row[], void, undefined> {
    const { rows } = await execute('reader')<Row>(statement)
    yield rows
  }
  const cluster: FakeCluster = {
    sent,
    texts: () => sent.filter((one) => !isCatalogue(one)).map(({ statement }) => statement.text),
    transactions: 0,
    writer: { [EXECUTE]: execute('writer') },
    reader: { [EXECUTE]: execute('reader'), [PAGES]: pages },
    transaction: async (fn) => {
      cluster.transactions += 1
      return fn()
    },
  }
  return cluster
}
