import type { QueryResult } from 'pg'

/** What PostgreSQL answers to a command that returns nothing. */
export const emptyResult = (command: string): QueryResult => ({
  command,
  rowCount: null,
  oid: 0,
  fields: [],
  rows: [],
})

/** Calls back in the caller's context; what the callback throws is nobody's rejection. */
export const settleCallback = <T>(
  result: Promise<T>,
  callback: (error: Error | undefined, value?: T) => void,
): void => {
  result.then(
    (value) => process.nextTick(callback, undefined, value),
    (error: Error) => process.nextTick(callback, error),
  )
}
