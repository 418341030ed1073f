import { setTimeout as sleep } from 'node:timers/promises'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import { ask } from '../nodes/ask.ts'
import type { Node } from '../nodes/node.ts'
import { PROBE_NAME } from '../nodes/state.ts'
import type { ServerState } from '../nodes/state.ts'
import type { Answer } from '../routing/election.ts'
import { faultOf } from '../routing/failures.ts'

const { askMs, askSilentMs, silentMs } = RUNTIME_LIMITS.discovery

/** What came of asking all nodes. */
interface Round {
  readonly answers: readonly Answer<Node>[]
  /** No node lets us ask it. One that keeps silent may only be slow, or this process is. */
  readonly allRefuse: boolean
}

/** Asks all nodes at once what they are, and does not wait long for those that kept silent the last time. */
export class Census {
  /** Weak: nodes go with `reload()`, also while they are asked, and take what they said along. */
  readonly #asking = new WeakMap<Node, Promise<void>>()
  readonly #heard = new WeakMap<Node, { readonly state: ServerState; readonly at: number }>()
  readonly #silent = new WeakSet<Node>()
  readonly #refusing = new WeakSet<Node>()

  /** What the nodes that answer say now. */
  async take(nodes: readonly Node[]): Promise<Round> {
    const oldest = performance.now() - askMs
    await Promise.all(
      nodes.map((node) => {
        const asked = this.#ask(node)
        const patience = sleep(silentMs, undefined, { ref: false })
        return this.#silent.has(node) ? Promise.race([asked, patience]) : asked
      }),
    )
    const answers = nodes.flatMap((node) => {
      const heard = this.#heard.get(node)
      return heard !== undefined && heard.at >= oldest ? [{ node, state: heard.state }] : []
    })
    return { answers, allRefuse: nodes.every((node) => this.#refusing.has(node)) }
  }

  /** Whether a node let nobody ask it the last time. */
  refuses(node: Node): boolean {
    return this.#refusing.has(node)
  }

  /** One question for each node at a time: one that hangs is not asked again before its time is over. */
  #ask(node: Node): Promise<void> {
    let asking = this.#asking.get(node)
    if (asking === undefined) {
      asking = this.#askNow(node).finally(() => this.#asking.delete(node))
      this.#asking.set(node, asking)
    }
    return asking
  }

  async #askNow(node: Node): Promise<void> {
    // Nobody waits for a silent one, which may only be far away.
    const limitMs = this.#silent.has(node) ? askSilentMs : askMs
    const answer = await ask(node.control, limitMs, (client) => node.probe.ask(client, PROBE_NAME))
    // One that did not let us in in time has not refused.
    const refuses =
      answer.kind === 'failed' && faultOf(answer.error, 'connect').name !== 'connecting timed out'
    if (refuses) this.#refusing.add(node)
    else this.#refusing.delete(node)
    if (answer.kind !== 'answered') {
      this.#heard.delete(node)
      this.#silent.add(node)
      return
    }
    this.#heard.set(node, { state: answer.value, at: performance.now() })
    this.#silent.delete(node)
    node.observed = answer.value
  }
}
