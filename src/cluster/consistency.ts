import type { ClusterSettings, Consistency } from '../config/types.ts'
import type { Node } from '../nodes/node.ts'
import type { Lsn, Position } from '../nodes/position.ts'
import { Session } from '../routing/session.ts'
import { CatchUp } from './catch-up.ts'
import type { Members } from './topology.ts'
import { WritePositions } from './write-positions.ts'

/** What a read must see, and what was done about it. */
export interface Demand {
  /** Nodes that may serve; absent: all. */
  readonly accepts?: (node: Node) => boolean
  /** The primary must serve. */
  readonly primary: boolean
  /** It never degrades: it is of an explicit session, or asks for the primary. */
  readonly explicit: boolean
  /** Preferred while it is acceptable: an explicit session stays on its replica. */
  readonly stay?: Node
  readonly waitedMs: number
  /** To be called with the node that has served. */
  readonly served: (node: Node) => void
}

const NO_DEMAND: Demand = { primary: false, explicit: false, waitedMs: 0, served: () => {} }

/** Keeps what sessions must see: positions of writes, positions of replicas, and the process's own session. */
export class ConsistencyKeeper {
  readonly #members: Members
  readonly #config: { readonly settings: ClusterSettings }
  readonly #explicit: () => Session<Node> | undefined
  readonly #writes: WritePositions
  readonly #catchUp: CatchUp
  readonly #process = new Session<Node>(false)

  /** @param explicit - the caller's session, when one was opened */
  constructor(
    members: Members,
    config: { readonly settings: ClusterSettings },
    explicit: () => Session<Node> | undefined,
  ) {
    this.#members = members
    this.#config = config
    this.#explicit = explicit
    this.#writes = new WritePositions(members)
    this.#catchUp = new CatchUp()
  }

  /** Roles have changed: positions are asked anew, since they may belong to another history. */
  reset(): void {
    this.#writes.reset()
    this.#catchUp.reset()
  }

  get #settings(): ClusterSettings {
    return this.#config.settings
  }

  /** A replica has told how far it has come. */
  observe(node: Node, lsn: Lsn): void {
    this.#catchUp.observe(node, lsn)
  }

  /** A replica may show less than it did: it is asked anew. */
  forget(node: Node): void {
    this.#catchUp.forget(node)
  }

  /** A node is none of the cluster's any more. */
  left(node: Node): void {
    this.#catchUp.remove(node)
  }

  #hasReplicas(): boolean {
    return this.#members.replicas.length > 0
  }

  /** The session of the caller: an explicit one, else the process's. */
  session(): Session<Node> {
    return this.#explicit() ?? this.#process
  }

  /**
   * To be called before a write is sent; the function that it returns is to be called when it has
   * committed. What the session reads afterwards waits for the write's position.
   */
  beginWrite(): ((asynchronous: boolean) => void) | undefined {
    const session = this.session()
    if (!this.#follows(session)) return undefined
    return (asynchronous) => {
      const noted = this.#note(session, asynchronous)
      session.expect(noted)
      // The process sees everything that is written in it, by whichever session.
      if (session !== this.#process) this.#process.expect(noted)
    }
  }

  /**
   * To be called before a transaction ends; the function that it returns is to be called afterwards
   * with the node that it ran on. A commit that wrote has a position, which covers what was read
   * before it. Without one an explicit session has read from that node all the same.
   */
  beginEnd(): (node: Node) => void {
    const session = this.#explicit()
    if (session === undefined) return () => {}
    const { expected } = session
    return (node) => {
      if (session.expected === expected) session.lastRead = node
    }
  }

  /** Whether any read will ever ask for the positions of this session's writes. */
  #follows(session: Session<Node>): boolean {
    if (!this.#hasReplicas()) return false
    const { consistency, outsideSession } = this.#settings
    return session.explicit || (consistency === 'session' && outsideSession === 'process')
  }

  async #note(session: Session<Node>, asynchronous: boolean): Promise<void> {
    const position = await this.#writes.after(asynchronous)
    for (const each of new Set([session, this.#process])) {
      if (position === undefined) each.reachedUnknown(performance.now() + this.#settings.stickyMs)
      else each.reached(position)
    }
  }

  /** The present position of the primary, which holds everything that has committed. */
  primaryPosition(): Promise<Position | undefined> {
    return this.#writes.after(false)
  }

  /**
   * Finds out what a read must see, and waits for a replica that shows it, within the budget. No
   * promise where nothing is to be waited for: that is the way of nearly every read.
   */
  demand(level: Consistency | undefined, candidates: readonly Node[]): Demand | Promise<Demand> {
    const session = this.session()
    const { consistency, outsideSession } = this.#settings
    const outside = !session.explicit && outsideSession !== 'process'
    const outsideLevel = outsideSession === 'primary' ? 'strong' : 'eventual'
    const wanted = level ?? (outside ? outsideLevel : consistency)
    if (wanted === 'eventual') return NO_DEMAND
    if (!this.#hasReplicas()) return NO_DEMAND
    // Where the cluster's level is another, nobody has followed the writes: only the primary is sure to show them.
    if (wanted === 'strong' || !this.#follows(session)) {
      // What an explicit session has seen there it must not un-see on a replica.
      const served = session.explicit ? (node: Node) => (session.lastRead = node) : NO_DEMAND.served
      return { ...NO_DEMAND, primary: true, explicit: true, served }
    }
    const known = session.hasPending ? undefined : this.#known(session, candidates)
    return known ?? this.#wait(session, candidates)
  }

  /** The demand when what is known is enough to serve it. */
  #known(session: Session<Node>, candidates: readonly Node[]): Demand | undefined {
    const { explicit, position, lastRead } = session
    const served = (node: Node): void => {
      if (explicit) session.lastRead = node
    }
    const demand = { explicit, served, waitedMs: 0, primary: false }
    if (session.needsPrimary(performance.now())) return { ...demand, primary: true }
    if (!this.#canStay(session, candidates)) return undefined
    const stay = lastRead === undefined ? {} : { stay: lastRead }
    if (position === undefined) return { ...demand, ...stay }
    const { lsn } = position
    const accepts = (node: Node): boolean => this.#catchUp.has(node, lsn)
    return this.#catchUp.someHas(candidates, lsn) ? { ...demand, ...stay, accepts } : undefined
  }

  async #wait(session: Session<Node>, candidates: readonly Node[]): Promise<Demand> {
    await session.settled()
    if (!this.#canStay(session, candidates)) await this.#leave(session)
    const known = this.#known(session, candidates)
    const { position, explicit } = session
    if (known !== undefined || position === undefined) return known ?? NO_DEMAND
    const { lsn } = position
    const startedAt = performance.now()
    await this.#catchUp.wait(lsn, candidates, this.#settings.waitTimeoutMs)
    return {
      explicit,
      primary: false,
      accepts: (node) => this.#catchUp.has(node, lsn),
      waitedMs: performance.now() - startedAt,
      served: (node) => {
        if (explicit) session.lastRead = node
      },
    }
  }

  /** A node has failed: sessions that have read from it must not see less elsewhere. */
  async lost(node: Node): Promise<void> {
    const session = this.session()
    if (session.lastRead === node) await this.#leave(session)
  }

  /** How far the session has come, reads included; asked of the node that it has read from. */
  async positionOf(session: Session<Node>): Promise<Position | undefined> {
    await session.settled()
    await this.#see(session)
    return session.position
  }

  /** An explicit session stays on the replica of its last read, while that one is healthy and far enough. */
  #canStay({ lastRead, position }: Session<Node>, candidates: readonly Node[]): boolean {
    if (lastRead === undefined) return true
    if (!candidates.includes(lastRead) || lastRead.isQuarantined(performance.now())) return false
    return position === undefined || this.#catchUp.has(lastRead, position.lsn)
  }

  async #leave(session: Session<Node>): Promise<void> {
    await this.#see(session)
    session.lastRead = undefined
  }

  /**
   * Takes what the session has read into its position: as far as its replica has come by now, or the
   * primary's present position when that replica is gone.
   */
  async #see(session: Session<Node>): Promise<void> {
    const node = session.lastRead
    if (node === undefined) return
    const lsn = node === this.#members.primary ? undefined : await this.#catchUp.ask(node)
    const present = await this.#writes.after(false)
    if (present === undefined) session.reachedUnknown(performance.now() + this.#settings.stickyMs)
    else session.reached(lsn === undefined ? present : { ...present, lsn })
  }

  /** The replica that is known to be furthest, for a process's session that cannot be met. */
  freshest(candidates: readonly Node[]): Node | undefined {
    return this.#catchUp.freshest(candidates)
  }
}
