import type { QueryConfig } from 'pg'
import { controlsOf, rewriteControls } from '../sql/control.ts'
import { ReadClient } from './client.ts'
import { plainQuery } from './plain-query.ts'
import { whenEnded } from './query-arguments.ts'
import type { QueryCallback, SubmittableQuery } from './query-arguments.ts'

/**
 * A connection for reads by way of a pooler that takes no start-up parameters: each statement runs
 * in `BEGIN READ ONLY`, and a transaction of the user's own is made read-only. Statements go one by
 * one, so that it is known from the server whether a transaction is open.
 */
export class PoolerReadClient extends ReadClient {
  #tail: Promise<void> = Promise.resolve()

  protected override sendRead(config: QueryConfig, callback: QueryCallback): void {
    this.#inTurn(async () => {
      const text = typeof config.text === 'string' ? config.text : ''
      // The guard has refused texts of several statements with a control among them.
      if (controlsOf(text).length > 0) {
        await this.#run({ ...config, text: beginReadOnly(text) }, callback)
      } else if (this.getTransactionStatus() === 'I') {
        await this.#run({ text: 'BEGIN READ ONLY' }, () => {})
        await this.#run(config, (error, result) => {
          plainQuery(this, 'COMMIT', () => callback(error, result))
        })
      } else await this.#run(config, callback)
    })
  }

  protected override submitRead(query: SubmittableQuery): void {
    this.#inTurn(async () => {
      const alone = this.getTransactionStatus() === 'I'
      if (alone) await this.#run({ text: 'BEGIN READ ONLY' }, () => {})
      await new Promise<void>((resolve) => {
        whenEnded(query, resolve)
        plainQuery(this, query)
      })
      if (alone) await this.#run({ text: 'COMMIT' }, () => {})
    })
  }

  #inTurn(task: () => Promise<void>): void {
    this.#tail = this.#tail.then(task)
  }

  /** Resolves when the server is ready for the next statement: only then does the client know the transaction's state. */
  #run(config: QueryConfig, callback: QueryCallback): Promise<void> {
    return new Promise((resolve) => {
      plainQuery(this, config, (error: Error | null, result: never) => {
        callback(error, result)
        if (error === null || error === undefined) resolve()
        else this.#whenReady(resolve)
      })
    })
  }

  /** After an error the server still has to say that it is ready, unless the connection is gone. */
  #whenReady(resolve: () => void): void {
    const done = (): void => {
      this.removeListener('drain', done)
      this.removeListener('end', done)
      resolve()
    }
    this.once('drain', done)
    this.once('end', done)
    if (this.connection.stream.destroyed) done()
  }
}

const beginReadOnly = (text: string): string =>
  rewriteControls(text, (control, original) =>
    control.kind === 'begin' && control.access === undefined
      ? `${original.trimEnd()} READ ONLY`
      : original,
  )
