import { ConfigError, UnknownNodeError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { describeFailure } from '../routing/failures.ts'
import type { Target } from './statement.ts'
import type { Members } from './topology.ts'

/** Knows which nodes a read may go to. */
export class Candidates {
  readonly #members: Members
  #replicas: readonly Node[] = []

  constructor(members: Members) {
    this.#members = members
    this.refit()
  }

  /** The replicas that are what they should be, healthy or not. */
  get replicas(): readonly Node[] {
    return this.#replicas
  }

  /** Nodes, their roles or what is known of them have changed. */
  refit(): void {
    const { replicas } = this.#members
    const fit = (node: Node): boolean => node.wrongServer === undefined
    this.#replicas = replicas.every(fit) ? replicas : replicas.filter(fit)
  }

  /**
   * The nodes that a target means.
   *
   * @throws UnknownNodeError when there is none
   */
  meantBy(target: Target): readonly Node[] {
    const { nodes, primary, replicas } = this.#members
    if (target === 'primary') return [primary]
    if (target === 'replica') return replicas
    const named = nodes.filter(({ name }) => name === target)
    const found = named.length > 0 ? named : nodes.filter(({ tags }) => tags.includes(target))
    if (found.length > 0) return found
    const tags = nodes.flatMap((node) => node.tags)
    throw new UnknownNodeError(target, [
      ...new Set(['primary', 'replica', ...nodes.map(({ name }) => name), ...tags]),
    ])
  }

  /**
   * A replica that refuses us for good is not a missing replica: when all do, the mistake must not
   * hide behind a primary that answers in their place.
   *
   * @throws ConfigError when every replica is configured wrongly
   */
  assertNotMisconfigured(): void {
    const { replicas } = this.#members
    if (replicas.length === 0) return
    const now = performance.now()
    // When the time in quarantine is over, one read finds out whether it has been mended.
    const refused = (node: Node): boolean =>
      node.health.cause === 'misconfigured' && node.isQuarantined(now)
    if (!replicas.every(refused)) return
    throw new ConfigError(
      replicas.map(({ name, lastError }) => ({
        message: `the server refused the connection (${describeFailure(lastError)}): check user, password, database and TLS`,
        path: name,
      })),
      { cause: replicas[0]?.lastError },
    )
  }
}
