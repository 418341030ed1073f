import { setTimeout as sleep } from 'node:timers/promises'
import type { PoolClient, QueryConfig, QueryResult } from 'pg'
import { cancelRunning } from '../nodes/cancel.ts'
import type { NodeClient } from '../nodes/client.ts'
import type { Connections } from '../nodes/connections.ts'
import type { Watch } from '../nodes/options.ts'
import { isConnectionUsable } from '../routing/failures.ts'
import type { Deadline } from './deadline.ts'

/** How long a cancelled write may take to say what has become of it. */
const SETTLE_TIMEOUT_MS = 250

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

  /** Hands the connection out to statements of the borrower's own, each of which `watch` is told of. */
  lend(watch: Watch): PoolClient {
    ;(this.client as unknown as NodeClient).watch = watch
    return this.client
  }

  /** Runs one statement; at the deadline it is cancelled on the server and the connection destroyed. */
  query(config: QueryConfig, deadline: Deadline): Promise<QueryResult> {
    return deadline.race(this.client.query(config), () => this.abandon())
  }

  /** Cancels what runs and destroys the connection. */
  abandon(): void {
    void cancelRunning(this.client as unknown as NodeClient)
    this.#giveBack(new Error('abandoned at its deadline'))
  }

  /**
   * Cancels a write that is running and finds out what has become of it: done, certainly not done
   * or unknown when the server does not say in time.
   */
  async giveUp<T>(write: Promise<T>): Promise<{ readonly done: T } | 'not done' | 'unknown'> {
    void cancelRunning(this.client as unknown as NodeClient)
    const outcome = write.then(
      (done) => ({ done }),
      (error: unknown) => (isConnectionUsable(error) ? 'not done' : 'unknown'),
    )
    const late = sleep(SETTLE_TIMEOUT_MS, 'unknown' as const, { ref: false })
    return Promise.race([outcome, late])
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
    // Nobody gets a connection on which somebody else's transaction is open.
    const open = this.client.getTransactionStatus() !== 'I'
    this.client.release(error ?? (open ? true : undefined))
  }
}
