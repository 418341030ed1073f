import { setTimeout as sleep } from 'node:timers/promises'
import type { PoolClient, QueryConfig, QueryResult } from 'pg'
import { cancelRunning, cancelUntil } from '../nodes/cancel.ts'
import type { NodeClient } from '../nodes/client.ts'
import type { Node } from '../nodes/node.ts'
import type { Purpose, Watch } from '../nodes/options.ts'
import { faultOf } from '../routing/failures.ts'
import type { Deadline } from './deadline.ts'

/** How long a cancelled statement may take to end before its connection is destroyed under it. */
const CANCEL_PATIENCE_MS = 1_000

/** A connection of its own, lent for one piece of work and given back once. */
export class Lease {
  readonly client: PoolClient
  /** Where it leads. */
  readonly node: Node
  #returned = false

  private constructor(node: Node, client: PoolClient) {
    this.node = node
    this.client = client
  }

  /**
   * Takes a connection within the deadline; one that comes too late goes straight back. One that the
   * server has closed is not taken, though its pool has not heard of it yet: what is sent on it is lost.
   */
  static async take(node: Node, purpose: Purpose, deadline: Deadline): Promise<Lease> {
    let late = false
    // No more than a pool can hold: a server that closes each connection at once must not keep us busy for ever.
    const acquire = async (stale: number): Promise<PoolClient> => {
      const acquired = await node[purpose].acquire()
      const { readableEnded } = (acquired as unknown as NodeClient).connection.stream
      const again = readableEnded && !late && stale > 0
      if (again || late) acquired.release(readableEnded)
      return again ? acquire(stale - 1) : acquired
    }
    const taken = acquire(node.config.pool)
    return new Lease(node, await deadline.race(taken, () => (late = true)))
  }

  /** Hands the connection out to statements of the borrower's own, each of which `watch` is told of. */
  lend(watch: Watch): PoolClient {
    ;(this.client as unknown as NodeClient).watch = watch
    return this.client
  }

  /** Runs one statement; at the deadline it is cancelled on the server and the connection destroyed. */
  query(config: QueryConfig, deadline: Deadline): Promise<QueryResult> {
    const running = this.client.query(config)
    return deadline.race(running, () => this.abandon(running))
  }

  /**
   * Cancels what runs and destroys the connection: when `running` has ended, so that nothing goes on
   * for nobody on the server, at the latest after a second; at once when nobody hopes for its end.
   */
  abandon(running?: Promise<unknown>): void {
    if (this.#returned) return
    if (running === undefined) {
      this.#cancel()
      return this.#giveBack(new Error('abandoned by its caller'))
    }
    this.#returned = true
    void this.#cancelUntil(running, CANCEL_PATIENCE_MS).then(() =>
      this.client.release(new Error('abandoned at its deadline')),
    )
  }

  /**
   * Cancels a write that is running and finds out what has become of it: done, certainly not done
   * or unknown when the server does not say in time.
   */
  async giveUp<T>(
    write: Promise<T>,
    settleMs: number,
  ): Promise<{ readonly done: T } | 'not done' | 'unknown'> {
    void this.#cancelUntil(write, settleMs)
    const outcome = write.then(
      (done) => ({ done }),
      (error: unknown) =>
        faultOf(error, 'statement').follows.client === 'keep' ? 'not done' : 'unknown',
    )
    const late = sleep(settleMs, 'unknown' as const, { ref: false })
    return Promise.race([outcome, late])
  }

  /** Whether the connection keeps the process alive, as it does unless it is said. */
  holdProcess(holds: boolean): void {
    const client = this.client as unknown as { ref(): void; unref(): void }
    if (holds) client.ref()
    else client.unref()
  }

  /** Gives the connection back; one that an error has made unusable is destroyed. */
  release(error?: unknown): void {
    const client = error === undefined ? 'keep' : faultOf(error, 'statement').follows.client
    if (client === 'cancel') this.#cancel()
    this.#giveBack(client === 'keep' ? undefined : (error as Error))
  }

  /** Gives the connection back and lets the pool destroy it, whatever the error was. */
  discard(error: unknown): void {
    if (faultOf(error, 'statement').follows.client === 'cancel') this.#cancel()
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

  #cancelUntil(running: Promise<unknown>, patienceMs: number): Promise<void> {
    const late = sleep(patienceMs, undefined, { ref: false })
    const ended = running.catch(() => undefined)
    return cancelUntil(this.client as unknown as NodeClient, Promise.race([ended, late]))
  }

  #cancel(): void {
    // The connection is somebody else's after it has been given back.
    if (!this.#returned) void cancelRunning(this.client as unknown as NodeClient)
  }

  #giveBack(error: Error | true | undefined): void {
    if (this.#returned) return
    this.#returned = true
    // Nobody gets a connection on which somebody else's transaction is open.
    const open = this.client.getTransactionStatus() !== 'I'
    this.client.release(error ?? (open ? true : undefined))
  }
}
