import type { Node } from '../nodes/node.ts'

/** The nodes of a cluster as they are now. Nobody keeps them for longer than one call: roles change. */
export interface Members {
  /** The node that is confirmed as primary, or was when last one was found. */
  readonly primary: Node
  /** All other nodes. */
  readonly replicas: readonly Node[]
  /** All nodes, in the order of the configuration. */
  readonly nodes: readonly Node[]
}

/** The one place that knows which node is the primary. */
export class Topology implements Members {
  #nodes: readonly Node[]
  #primary: Node
  #replicas: readonly Node[] = []
  readonly #onChange: () => void

  /** @param onChange - called after each change of nodes or roles */
  constructor(nodes: readonly [Node, ...Node[]], onChange: () => void) {
    this.#nodes = nodes
    this.#primary = nodes[0]
    this.#onChange = onChange
    this.#assign()
  }

  get nodes(): readonly Node[] {
    return this.#nodes
  }

  get primary(): Node {
    return this.#primary
  }

  get replicas(): readonly Node[] {
    return this.#replicas
  }

  /** From now on this node is the primary. */
  promote(node: Node): void {
    if (node === this.#primary) return
    this.#primary = node
    this.#assign()
    this.#onChange()
  }

  /** The same primary on another timeline. */
  renew(): void {
    this.#onChange()
  }

  /** Other nodes than before; the primary is one of them. */
  replace(nodes: readonly Node[], primary: Node): void {
    this.#nodes = nodes
    this.#primary = primary
    this.#assign()
    this.#onChange()
  }

  #assign(): void {
    this.#replicas = this.#nodes.filter((node) => node !== this.#primary)
    for (const node of this.#nodes) node.role = node === this.#primary ? 'primary' : 'replica'
  }
}
