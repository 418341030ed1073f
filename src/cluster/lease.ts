import type { PoolClient, QueryConfig, QueryResult } from 'pg'
import { cancelRunning } from '../nodes/cancel.ts'
import type { NodeClient } from '../nodes/client.ts'
import type { Connections } from '../nodes/connections.ts'
import { isConnectionUsable } from '../routing/failures.ts'
import type { Deadline } from './deadline.ts'

/** A connection of its own, lent for one piece of work and given back once. */
export class Lease {
  readonly client: PoolClient
  #returned = false

  private constructor(client: PoolClient) {
    this.client = client
  }

  /** Takes a connection within the deadline; one that comes too late goes straight back. */
  static async take(connections: Connections, deadline: Deadline): Promise<Lease> {
    let late = false
    const client = connections.acquire().then((acquired) => {
      if (late) acquired.release()
      return acquired
    })
    return new Lease(await deadline.race(client, () => (late = true)))
  }

  /** Runs one statement; at the deadline it is cancelled on the server and the connection destroyed. */
  query(config: QueryConfig, deadline: Deadline): Promise<QueryResult> {
    return deadline.race(this.client.query(config), () => this.abandon())
  }

  /** Cancels what runs and destroys the connection. */
  abandon(): void {
    cancelRunning(this.client as unknown as NodeClient)
    this.#giveBack(new Error('abandoned at its deadline'))
  }

  /** Gives the connection back; one that an error has made unusable is destroyed. */
  release(error?: unknown): void {
    this.#giveBack(error === undefined || isConnectionUsable(error) ? undefined : (error as Error))
  }

  /** Gives the connection back and lets the pool destroy it, whatever the error was. */
  discard(error: unknown): void {
    this.#giveBack(error instanceof Error ? error : true)
  }

  /** Ends the transaction that is open on the connection and gives it back, unless that has been done. */
  async finish(sql: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    if (this.#returned) return
    try {
      await this.client.query(sql)
      this.release()
    } catch (error) {
      // Nothing was written on it and its answer is not needed: the connection goes.
      this.discard(error)
    }
  }

  #giveBack(error: Error | true | undefined): void {
    if (this.#returned) return
    this.#returned = true
    this.client.release(error)
  }
}
