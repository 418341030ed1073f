import { setTimeout as sleep } from 'node:timers/promises'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import type { Node } from '../nodes/node.ts'
import { PROBE_NAME } from '../nodes/state.ts'
import type { ServerState } from '../nodes/state.ts'
import type { Answer } from '../routing/election.ts'
import { askNode } from './ask-node.ts'

const { askMs, silentMs } = RUNTIME_LIMITS.discovery

/** Asks all nodes at once what they are, and does not wait long for those that kept silent the last time. */
export class Census {
  readonly #asking = new Map<Node, Promise<void>>()
  readonly #states = new Map<Node, ServerState>()
  readonly #silent = new Set<Node>()

  /** What the nodes that answer say now. */
  async take(nodes: readonly Node[]): Promise<readonly Answer<Node>[]> {
    const oldest = performance.now() - askMs
    await Promise.all(
      nodes.map((node) => {
        const asked = this.#ask(node)
        const patience = sleep(silentMs, undefined, { ref: false })
        return this.#silent.has(node) ? Promise.race([asked, patience]) : asked
      }),
    )
    return nodes.flatMap((node) => {
      const state = this.#states.get(node)
      return state !== undefined && state.at >= oldest ? [{ node, state }] : []
    })
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
    const state = await askNode(node, askMs, (client) => node.probe.ask(client, PROBE_NAME))
    if (state === undefined) {
      this.#states.delete(node)
      this.#silent.add(node)
      return
    }
    this.#states.set(node, state)
    this.#silent.delete(node)
    node.observed = state
  }
}
