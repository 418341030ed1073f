import type { Node } from '../nodes/node.ts'
import type { Lsn, Position } from '../nodes/position.ts'
import { Followers } from './follower.ts'
import type { Follower, Reached, Waiter } from './follower.ts'
import type { QuestionLine } from './question-line.ts'

/** When the replica that was asked first has not caught up after this time, all are asked. */
const ALL_AFTER_MS = 2

/** Knows which replicas have replayed a position, and waits for the first that does. */
export class CatchUp {
  readonly #followers: Followers
  #turn = 0

  constructor(lineOf: (node: Node) => QuestionLine) {
    this.#followers = new Followers(lineOf)
  }

  /** What replicas had replayed may belong to another history. Who waits goes on waiting. */
  reset(): void {
    for (const follower of this.#followers.all()) follower.reset()
  }

  /** A replica has replayed at least this. */
  observe(node: Node, reached: Reached): void {
    this.#followers.of(node).observe(reached)
  }

  /** What a replica had replayed counts no more. */
  forget(node: Node): void {
    this.#followers.of(node).reset()
  }

  remove(node: Node): void {
    this.#followers.delete(node)
  }

  /**
   * Whether a replica shows this position. One that does not tell what it has replayed does when the
   * position is not recent.
   */
  shows(node: Node, position: Position, isRecent: boolean): boolean {
    const follower = this.#followers.of(node)
    return follower.has(position) || (!isRecent && !follower.tells)
  }

  /** Whether all candidates refuse to tell what they have replayed. */
  noneTells(candidates: readonly Node[]): boolean {
    return candidates.length > 0 && candidates.every((node) => !this.#followers.of(node).tells)
  }

  /**
   * Whether one of the candidates shows this position. Those that do not are asked again, without
   * keeping anybody waiting: else the first one that got there would serve all reads.
   */
  someShow(candidates: readonly Node[], position: Position, isRecent: boolean): boolean {
    let some = false
    let all = true
    for (const node of candidates) {
      if (this.shows(node, position, isRecent)) some = true
      else all = false
    }
    if (some && !all) this.#recheck(candidates, position)
    return some
  }

  #recheck(candidates: readonly Node[], position: Position): void {
    const now = performance.now()
    for (const node of candidates) {
      const follower = this.#followers.of(node)
      if (!follower.has(position)) follower.recheck(position, now)
    }
  }

  /** How much each replica that is known to be on the position's timeline still has to replay. */
  missingBytes(nodes: readonly Node[], { timeline, lsn }: Position): Record<string, number> {
    return Object.fromEntries(
      nodes.flatMap((node) => {
        const follower = this.#followers.of(node)
        return follower.timeline === timeline ? [[node.name, Number(lsn - follower.replayed)]] : []
      }),
    )
  }

  /** How far a replica has come by now; `undefined` when it does not say. */
  async positionOf(node: Node): Promise<Reached | undefined> {
    const follower = this.#followers.of(node)
    const lsn = await follower.ask(undefined)
    const { timeline } = follower
    return lsn === undefined || timeline === undefined ? undefined : { timeline, lsn }
  }

  /** The replica that is known to be furthest. */
  freshest(candidates: readonly Node[]): Node | undefined {
    let best = candidates[0]
    for (const node of candidates) {
      if (best !== undefined && this.#replayed(node) > this.#replayed(best)) best = node
    }
    return best
  }

  /**
   * Waits until one of the candidates has replayed a position; false when none has in this time. One of
   * those that have been prompt is asked first, each in turn; the others follow when it is late.
   */
  wait(position: Position, candidates: readonly Node[], timeoutMs: number): Promise<boolean> {
    const followers = candidates
      .map((node) => this.#followers.of(node))
      .filter((follower) => follower.tells)
    if (followers.length === 0 || timeoutMs <= 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const left = new Set(followers)
      const waiter: Waiter = {
        position,
        wake: (reached) => {
          clearTimeout(timer)
          for (const follower of followers) follower.remove(waiter)
          resolve(reached)
        },
        refused: (by) => {
          left.delete(by)
          if (left.size === 0) waiter.wake(false)
        },
      }
      const askAll = (): void => {
        timer = setTimeout(() => waiter.wake(false), timeoutMs - ALL_AFTER_MS)
        for (const follower of followers) follower.add(waiter)
      }
      const first = this.#first(followers)
      let timer = setTimeout(askAll, ALL_AFTER_MS)
      if (first === undefined || followers.length === 1 || timeoutMs <= ALL_AFTER_MS) {
        clearTimeout(timer)
        askAll()
      } else first.add(waiter)
    })
  }

  /** One that is being asked already serves all who wait at this moment; the next time it is another one. */
  #first(followers: readonly Follower[]): Follower | undefined {
    const prompt = followers.filter(({ isLate }) => !isLate)
    const asked = prompt.find(({ isPolling }) => isPolling)
    return asked ?? prompt[this.#turn++ % Math.max(1, prompt.length)]
  }

  #replayed(node: Node): Lsn {
    return this.#followers.of(node).replayed
  }
}
