import { setTimeout as sleep } from 'node:timers/promises'
import { RUNTIME_LIMITS } from '../config/defaults.ts'
import {
  ClusterClosedError,
  DeadlineExceededError,
  NoPrimaryError,
  SplitBrainError,
} from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { elect } from '../routing/election.ts'
import type { Answer, Verdict } from '../routing/election.ts'
import type { ServerState } from '../nodes/state.ts'
import { Census } from './census.ts'
import type { Deadline } from './deadline.ts'
import type { PrimaryEvent } from './events.ts'
import type { Topology } from './topology.ts'

const { askSilentMs, firstPauseMs, longestPauseMs } = RUNTIME_LIMITS.discovery

/** A promotion takes a second or two: the pauses are long only after that. */
const PAUSE_GROWTH = 1.02

/** What `Failover` needs of its cluster. */
interface Surroundings {
  readonly topology: Topology
  /** `allow_same_server`: nodes of one identity are one server. */
  readonly isOneServer: () => boolean
  /** False when the cluster is closed: nobody needs a primary any more. */
  readonly isOpen: () => boolean
  readonly announce: (event: PrimaryEvent) => void
  /** All nodes have said what they are. */
  readonly onAnswers: () => void
}

/** How a primary is looked for. */
interface Search {
  /** How long at most; the caller's deadline may end it earlier. */
  readonly limitMs: number
  /** Goes on although no node answers at all. */
  readonly patient: boolean
}

/**
 * Knows whether writes may go to the node that is taken for the primary, and finds another one when
 * they may not. All who need a primary share one search; each of its rounds asks all nodes at once.
 */
export class Failover {
  readonly #around: Surroundings
  readonly #census = new Census()
  #systemIdentifier: string | undefined
  #timeline: number | undefined
  /** Nothing is known against the present primary. */
  #trusted = true
  #isKnown = false
  /** What spoke against the primary. */
  #reason: unknown
  #suspectedAt = 0
  #announced: PrimaryEvent['state'] = 'confirmed'
  #answers: readonly Answer<Node>[] = []
  /** In the last round no node let itself be asked. */
  #allRefuse = false
  #verdict: Verdict<Node>['kind'] | undefined
  #claims: readonly string[] = []
  #round: Promise<void> | undefined
  #pauseMs: number = firstPauseMs

  constructor(around: Surroundings) {
    this.#around = around
  }

  /** The primary, unless something is known against it. */
  get trusted(): Node | undefined {
    return this.#trusted ? this.#around.topology.primary : undefined
  }

  /** The identifier of the cluster's servers, once a primary has told it. */
  get systemIdentifier(): string | undefined {
    return this.#systemIdentifier
  }

  /** The timeline on which a primary was last confirmed. */
  get timeline(): number | undefined {
    return this.#timeline
  }

  /** Whether a primary has ever been reached. */
  get isKnown(): boolean {
    return this.#isKnown
  }

  /** Whether writes have somewhere to go, as far as is known. */
  get writes(): 'available' | 'no-primary' | 'split-brain' {
    if (this.#trusted) return 'available'
    return this.#verdict === 'split-brain' ? 'split-brain' : 'no-primary'
  }

  /** What a server has said of itself by the way. */
  observe(node: Node, state: ServerState): void {
    node.observed = state
    const { topology, isOneServer } = this.#around
    const accepts = !state.inRecovery && !state.readOnly
    if (node !== topology.primary) {
      if (accepts && !isOneServer()) this.check()
    } else if (!accepts || (state.timeline ?? Infinity) < (this.#timeline ?? 0)) this.suspect(node)
    else if (this.#trusted) this.#confirm(node, false)
    else this.check()
  }

  /** Something speaks against this node as primary: writes wait until all nodes have been asked. */
  suspect(node: Node, reason?: unknown): void {
    if (node !== this.#around.topology.primary) return
    this.#distrust()
    this.#reason ??= reason
    this.check()
  }

  /** Roles may have changed: asks all nodes, while writes go on. */
  check(): void {
    if (this.#around.isOpen()) void this.#ask()
  }

  /** Asks all nodes once what they are, and settles by that who is the primary. */
  look(): Promise<void> {
    return this.#ask()
  }

  /**
   * The primary that writes may go to; asks until there is one.
   *
   * @throws NoPrimaryError when none was found in time
   * @throws SplitBrainError when there are several
   */
  async find(deadline: Deadline, { limitMs, patient }: Search): Promise<Node> {
    const startedAt = performance.now()
    const waited = (): number => performance.now() - startedAt
    for (;;) {
      const present = this.trusted
      if (present !== undefined) return present
      try {
        await deadline.race(this.#ask(), () => {})
      } catch (error) {
        throw error instanceof DeadlineExceededError ? this.#failure(waited()) : error
      }
      if (this.trusted !== undefined) continue
      const isLate = waited() >= limitMs
      // Nobody answers at all: that is no failover, and what went wrong says more.
      const nobody = this.#answers.length === 0 && (this.#allRefuse || isLate)
      if (nobody && !patient && this.#reason !== undefined) throw this.#reason
      if (!this.#around.isOpen()) throw new ClusterClosedError()
      if (isLate) throw this.#failure(waited())
    }
  }

  /**
   * Whether a node may serve reads that must see everything which was written: the primary, unless
   * something speaks against it. Then it is asked first; one that only refuses writes still may.
   */
  async vouchesFor(node: Node): Promise<boolean> {
    const until = performance.now() + askSilentMs
    // A round that has begun before says nothing about what has happened since; and one that keeps
    // silent may only be far away.
    for (let round = 0; !this.#trusted && !this.#showsAll(node); round++) {
      const isSilent = !this.#answers.some((answer) => answer.node === node)
      const mayAnswer = isSilent && !this.#census.refuses(node) && performance.now() < until
      if (round >= 2 && !mayAnswer) break
      await this.#ask()
    }
    if (this.#trusted) return node === this.#around.topology.primary
    return this.#showsAll(node)
  }

  /** By what it has said since something speaks against it. */
  #showsAll(node: Node): boolean {
    const state = this.#answers.find((answer) => answer.node === node)?.state
    if (state === undefined || state.at < this.#suspectedAt || state.inRecovery) return false
    return this.#verdict !== 'split-brain' && (state.timeline ?? Infinity) >= (this.#timeline ?? 0)
  }

  /** What speaks against a node as primary, in words. */
  problemOf(node: Node): string {
    const state = this.#answers.find((answer) => answer.node === node)?.state
    if (state === undefined) return 'no answer'
    if (state.inRecovery) return 'in recovery'
    if (this.#verdict === 'split-brain') return 'not the only one that accepts writes'
    return state.readOnly ? 'read-only' : 'not of this history'
  }

  /** One round for all who want to know now. */
  #ask(): Promise<void> {
    return (this.#round ??= this.#askAll().finally(() => (this.#round = undefined)))
  }

  async #askAll(): Promise<void> {
    if (this.#verdict !== undefined && this.#verdict !== 'primary') {
      // Nobody was found a moment ago: not at once again, and not by all processes together.
      await sleep(this.#pauseMs * (0.75 + 0.5 * Math.random()), undefined, { ref: false })
      this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs * PAUSE_GROWTH)
    }
    const { topology, isOneServer, onAnswers } = this.#around
    const { nodes } = topology
    const { answers, allRefuse } = await this.#census.take(nodes)
    this.#answers = answers
    this.#allRefuse = allRefuse
    const incumbent = {
      node: topology.primary,
      systemIdentifier: this.#systemIdentifier,
      timeline: this.#timeline,
    }
    this.#conclude(elect(this.#answers, incumbent, nodes.length, isOneServer()))
    onAnswers()
  }

  #conclude(verdict: Verdict<Node>): void {
    this.#verdict = verdict.kind
    if (verdict.kind === 'primary') {
      this.#confirm(verdict.node, verdict.historyLost)
      return
    }
    this.#distrust()
    const claims = verdict.kind === 'split-brain' ? verdict.nodes : verdict.outdated
    this.#claims = claims.map(({ name }) => name)
    const state = verdict.kind === 'split-brain' ? 'split-brain' : 'missing'
    if (state !== this.#announced) this.#announce({ state, node: undefined })
  }

  #confirm(node: Node, historyLost: boolean): void {
    const { topology } = this.#around
    const previous = topology.primary
    const [wasTrusted, wasTimeline] = [this.#trusted, this.#timeline]
    const { systemIdentifier, timeline } = node.observed ?? {}
    this.#systemIdentifier ??= systemIdentifier
    this.#timeline = timeline ?? wasTimeline
    this.#claims = [node.name]
    this.#pauseMs = firstPauseMs
    this.#reason = undefined
    this.#trusted = this.#isKnown = true
    const continues = wasTimeline === undefined || wasTimeline === this.#timeline
    if (node !== previous) {
      topology.promote(node)
      // What still runs on the old one would belong to a history that is over.
      previous.write.destroy()
      void previous.write.renew()
    } else if (!continues) topology.renew()
    else if (this.#announced === 'confirmed') return
    const withoutMs = wasTrusted ? 0 : Math.round(performance.now() - this.#suspectedAt)
    this.#announce({
      state: 'confirmed',
      node: node.name,
      previous: previous.name,
      withoutMs,
      historyLost,
    })
  }

  #announce(event: Pick<PrimaryEvent, 'state' | 'node'> & Partial<PrimaryEvent>): void {
    this.#announced = event.state
    this.#around.announce({
      previous: this.#around.topology.primary.name,
      timeline: this.#timeline,
      claims: this.#claims,
      withoutMs: 0,
      historyLost: false,
      ...event,
    })
  }

  #distrust(): void {
    if (!this.#trusted) return
    this.#trusted = false
    this.#suspectedAt = performance.now()
  }

  #failure(waitedMs: number): NoPrimaryError | SplitBrainError {
    if (this.#verdict === 'split-brain') return new SplitBrainError(this.#claims)
    const problems = this.#around.topology.nodes.map((node) => ({
      node: node.name,
      problem: this.problemOf(node),
    }))
    return new NoPrimaryError(
      problems,
      waitedMs,
      this.#reason === undefined ? {} : { cause: this.#reason },
    )
  }
}
