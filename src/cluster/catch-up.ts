import type { Node } from '../nodes/node.ts'
import type { Lsn } from '../nodes/position.ts'
import { probePosition } from '../nodes/probe.ts'
import { askNode } from './ask-node.ts'

/** A replica that does not answer in this time is asked again later. */
const POLL_TIMEOUT_MS = 500
/** A replica replays within a millisecond as a rule; one that does not is asked less and less often. */
const FIRST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 50

/** How often a replica that others stand in for is asked whether it has caught up. */
const RECHECK_MS = 10

interface Waiter {
  readonly lsn: Lsn
  readonly wake: (reached: boolean) => void
}

/** What one replica has replayed as far as is known, and who waits for more. */
class Follower {
  readonly #node: Node
  readonly #waiters = new Set<Waiter>()
  #replayed: Lsn = 0n
  #polling = false
  #recheckedAt = -Infinity

  constructor(node: Node) {
    this.#node = node
  }

  get replayed(): Lsn {
    return this.#replayed
  }

  reset(): void {
    this.#replayed = 0n
  }

  add(waiter: Waiter): void {
    this.#waiters.add(waiter)
    if (!this.#polling) void this.#poll()
  }

  remove(waiter: Waiter): void {
    this.#waiters.delete(waiter)
  }

  observe(lsn: Lsn): void {
    if (lsn > this.#replayed) this.#replayed = lsn
    for (const waiter of this.#waiters) {
      if (waiter.lsn <= this.#replayed) waiter.wake(true)
    }
  }

  /** One poll serves all waiters, and ends with the last of them. */
  async #poll(): Promise<void> {
    this.#polling = true
    let pauseMs = FIRST_PAUSE_MS
    while (this.#waiters.size > 0) {
      const lsn = await this.ask()
      if (lsn !== undefined) this.observe(lsn)
      if (this.#waiters.size === 0) break
      await new Promise<void>((resolve) => setTimeout(resolve, pauseMs))
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5)
    }
    this.#polling = false
  }

  /** Asks once, unless that has just been done: nobody waits for it. */
  recheck(now: number): void {
    if (this.#polling || now - this.#recheckedAt < RECHECK_MS) return
    this.#recheckedAt = now
    void this.ask().then((lsn) => lsn !== undefined && this.observe(lsn))
  }

  ask(): Promise<Lsn | undefined> {
    return askNode(this.#node, POLL_TIMEOUT_MS, probePosition)
  }
}

/** Knows which replicas have replayed a position, and waits for the first that does. */
export class CatchUp {
  readonly #followers = new Map<Node, Follower>()

  /** What replicas had replayed may belong to another history. Who waits goes on waiting. */
  reset(): void {
    for (const follower of this.#followers.values()) follower.reset()
  }

  /** A replica has replayed at least this. */
  observe(node: Node, lsn: Lsn): void {
    this.#followerOf(node).observe(lsn)
  }

  /** What a replica had replayed counts no more. */
  forget(node: Node): void {
    this.#followers.get(node)?.reset()
  }

  remove(node: Node): void {
    this.#followers.delete(node)
  }

  /** Whether a replica is known to have replayed this position. */
  has(node: Node, lsn: Lsn): boolean {
    return this.#followerOf(node).replayed >= lsn
  }

  /**
   * Whether one of the candidates is known to have replayed this position. Those that are not are asked
   * again, without keeping anybody waiting: else the first one that got there would serve all reads.
   */
  someHas(candidates: readonly Node[], lsn: Lsn): boolean {
    let some = false
    let now: number | undefined
    for (const node of candidates) {
      if (this.has(node, lsn)) some = true
      else this.#followerOf(node).recheck((now ??= performance.now()))
    }
    return some
  }

  /** How far a replica has come by now; `undefined` when it does not say. */
  async ask(node: Node): Promise<Lsn | undefined> {
    const follower = this.#followerOf(node)
    const lsn = await follower.ask()
    if (lsn !== undefined) follower.observe(lsn)
    return lsn
  }

  /** The replica that is known to be furthest. */
  freshest(candidates: readonly Node[]): Node | undefined {
    return candidates.toSorted((a, b) =>
      Number(this.#followerOf(b).replayed - this.#followerOf(a).replayed),
    )[0]
  }

  /** Waits until one of the candidates has replayed a position; false when none has in this time. */
  wait(lsn: Lsn, candidates: readonly Node[], timeoutMs: number): Promise<boolean> {
    if (candidates.length === 0 || timeoutMs <= 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const followers = candidates.map((node) => this.#followerOf(node))
      const waiter: Waiter = {
        lsn,
        wake: (reached) => {
          clearTimeout(timer)
          for (const follower of followers) follower.remove(waiter)
          resolve(reached)
        },
      }
      const timer = setTimeout(() => waiter.wake(false), timeoutMs)
      for (const follower of followers) follower.add(waiter)
    })
  }

  #followerOf(node: Node): Follower {
    let follower = this.#followers.get(node)
    if (follower === undefined) this.#followers.set(node, (follower = new Follower(node)))
    return follower
  }
}
