import type { QueryConfig, QueryResult } from 'pg'
import type { Statement } from './statement.ts'

let created = 0

/** A name that no other cursor of this process has. */
export const cursorName = (): string => `segregato_cursor_${++created}`

/**
 * Reads a statement page by page from a cursor of the server, so that memory holds one page.
 * Between two pages the connection is free for other statements of the same transaction.
 */
export async function* fetchPages(
  run: (config: QueryConfig) => Promise<QueryResult>,
  statement: Statement,
  pageSize: number,
): AsyncGenerator<QueryResult['rows'], void, undefined> {
  const name = cursorName()
  const { text, values } = statement
  await run({
    text: `DECLARE ${name} NO SCROLL CURSOR FOR ${text}`,
    ...(values === undefined ? {} : { values: [...values] }),
  })
  let finished = false
  try {
    while (!finished) {
      const { rows } = await run({ text: `FETCH ${pageSize} FROM ${name}` })
      finished = rows.length < pageSize
      if (rows.length > 0) yield rows
    }
  } finally {
    // Also when the reader stops early. In a failed transaction the cursor is gone with it.
    await run({ text: `CLOSE ${name}` }).catch(() => undefined)
  }
}
