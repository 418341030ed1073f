import type { CandidateView } from '../config/types.ts'
import type { Balancer } from './balancers.ts'

/** A node as routing sees it. */
export interface RoutableNode extends CandidateView {
  readonly role: 'primary' | 'replica'
  isQuarantined(now: number): boolean
  /** Why it serves nothing, quarantine or not; `undefined`: it may. */
  readonly wrongServer: string | undefined
  /** When the quarantine ends, on the clock of `now`; in the past for a healthy node. */
  readonly quarantinedUntil: number
}

/** Why a node was chosen; a part of `ROUTE_REASONS`. */
export type ChoiceReason = 'balanced' | 'retry' | 'using' | 'replica-share' | 'no-replica'

/** A decision. */
export interface Choice<N> {
  readonly node: N
  readonly reason: ChoiceReason
  /** The replica that would have served the read if `replica_share` had not sent it to the primary. */
  readonly shadow?: N
}

/** What is asked of a decision. */
export interface ReadRequest<N> {
  readonly now: number
  /** Nodes that have failed this read already. */
  readonly tried: ReadonlySet<N>
  /** The only nodes that may serve it, in the order of the configuration. */
  readonly only?: readonly N[] | undefined
  /** What a node must be besides healthy, such as fresh enough. */
  readonly accepts?: ((node: N) => boolean) | undefined
  /** The replica that is preferred while it is healthy and acceptable. */
  readonly stay?: N | undefined
  /** Replicas only: the caller has an answer of his own for when none is left. */
  readonly replicasOnly?: boolean
}

/** The nodes as they are now; asked at each decision, since roles change. */
export interface RoutableMembers<N> {
  readonly primary: N
  readonly replicas: readonly N[]
}

/** Decides which node serves a read. No I/O; the only time is the one it is given. */
export class Router<N extends RoutableNode> {
  readonly #members: RoutableMembers<N>
  #balancer: Balancer
  #eligible: readonly N[] = []
  /** The eligible set is right until a node changes or this time has come. */
  #validUntil = -Infinity
  #share = 1
  /** Collects the share of each read; a replica serves whenever it reaches one. */
  #credit = 0

  constructor(members: RoutableMembers<N>, balancer: Balancer) {
    this.#members = members
    this.#balancer = balancer
  }

  get share(): number {
    return this.#share
  }

  set share(value: number) {
    this.#share = value
  }

  /** From now on this one chooses. */
  set balancer(balancer: Balancer) {
    this.#balancer = balancer
  }

  /** To be called when a node's health or role has changed. */
  invalidate(): void {
    this.#validUntil = -Infinity
  }

  /** The node that serves a read, or `undefined` when none is left. */
  choose(request: ReadRequest<N>): Choice<N> | undefined {
    if (request.only !== undefined) return this.#chooseAmong(request.only, request)
    const { tried, accepts } = request
    const usable = (node: N): boolean =>
      !tried.has(node) && node.wrongServer === undefined && (accepts === undefined || accepts(node))
    const { stay } = request
    const staying = stay !== undefined && usable(stay) && !stay.isQuarantined(request.now)
    const replica = staying ? stay : this.#balancer(this.#eligibleAt(request.now), usable)
    if (replica !== undefined) {
      if (tried.size > 0) return { node: replica, reason: 'retry' }
      if (this.#replicaServes()) return { node: replica, reason: 'balanced' }
      return { node: this.#members.primary, reason: 'replica-share', shadow: replica }
    }
    return request.replicasOnly ? undefined : this.#lastResort(request)
  }

  /** No healthy replica is left: the primary, or whatever has not been tried, quarantine or not. */
  #lastResort({ tried, now, accepts }: ReadRequest<N>): Choice<N> | undefined {
    const { primary } = this.#members
    if (!tried.has(primary) && !primary.isQuarantined(now))
      return { node: primary, reason: 'no-replica' }
    const left = [...this.#members.replicas, primary].find(
      (node) =>
        !tried.has(node) &&
        (node === primary ||
          (node.wrongServer === undefined && (accepts === undefined || accepts(node)))),
    )
    return left && { node: left, reason: left === primary ? 'no-replica' : 'retry' }
  }

  #chooseAmong(only: readonly N[], { tried, now, accepts }: ReadRequest<N>): Choice<N> | undefined {
    const usable = (node: N): boolean =>
      !tried.has(node) &&
      (node === this.#members.primary ||
        (node.wrongServer === undefined && (accepts === undefined || accepts(node))))
    const node =
      this.#balancer(only, (candidate) => usable(candidate) && !candidate.isQuarantined(now)) ??
      // An explicit wish outranks a quarantine: there is nowhere else to go.
      only.find(usable)
    return node && { node, reason: 'using' }
  }

  #replicaServes(): boolean {
    if (this.#share >= 1) return true
    this.#credit += this.#share
    if (this.#credit < 1) return false
    this.#credit -= 1
    return true
  }

  #eligibleAt(now: number): readonly N[] {
    if (now < this.#validUntil) return this.#eligible
    this.#eligible = this.#members.replicas.filter(
      (node) => node.wrongServer === undefined && !node.isQuarantined(now),
    )
    this.#validUntil = this.#members.replicas.reduce(
      (earliest, node) =>
        node.isQuarantined(now) ? Math.min(earliest, node.quarantinedUntil) : earliest,
      Infinity,
    )
    return this.#eligible
  }
}
