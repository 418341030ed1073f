import type { ClusterSettings, Consistency } from '../config/types.ts'
import type { Node } from '../nodes/node.ts'
import type { FollowedWrite } from '../nodes/options.ts'
import type { Position } from '../nodes/position.ts'
import type { ServerState } from '../nodes/state.ts'
import type { PositionQuestion } from '../nodes/position-question.ts'
import { Session } from '../routing/session.ts'
import { CatchUp } from './catch-up.ts'
import type { HistoryEvent } from './events.ts'
import { QuestionLine } from './question-line.ts'
import { SessionHistory } from './session-history.ts'
import type { Members } from './topology.ts'
import { WritePositions } from './write-positions.ts'

/** What a read must see, and what was done about it. */
export interface Demand {
  /** What a node must have replayed to serve; absent: any may. */
  readonly position: Position | undefined
  /**
   * The primary must serve: since its state was asked for, or since nobody else is known to show what
   * the session must see.
   */
  readonly primary: 'strong' | 'only' | undefined
  /** The explicit session of the read: it never degrades. */
  readonly session: Session<Node> | undefined
  readonly waitedMs: number
}

const NO_DEMAND: Demand = {
  position: undefined,
  primary: undefined,
  session: undefined,
  waitedMs: 0,
}
const STRONG: Demand = { ...NO_DEMAND, primary: 'strong' }
const ONLY_PRIMARY: Demand = { ...NO_DEMAND, primary: 'only' }

/** Keeps what sessions must see: positions of writes, positions of replicas, and the process's own session. */
export class ConsistencyKeeper {
  readonly #members: Members
  readonly #config: { readonly settings: ClusterSettings }
  readonly #explicit: () => Session<Node> | undefined
  readonly #onSilent: (node: Node, withoutMs: number) => void
  readonly #lines = new Map<Node, QuestionLine>()
  readonly #writes: WritePositions
  readonly #catchUp: CatchUp
  readonly #history: SessionHistory
  readonly #process = new Session<Node>(false)

  /**
   * @param explicit - the caller's session, when one was opened
   * @param told - of a session whose history is lost, and of a node that does not answer
   */
  constructor(
    members: Members,
    config: { readonly settings: ClusterSettings },
    explicit: () => Session<Node> | undefined,
    told: {
      readonly lost: (event: HistoryEvent) => void
      readonly silent: (node: Node, withoutMs: number) => void
    },
  ) {
    this.#members = members
    this.#config = config
    this.#explicit = explicit
    this.#onSilent = told.silent
    this.#catchUp = new CatchUp((node) => this.#lineOf(node))
    this.#writes = new WritePositions(
      () => this.#lineOf(members.primary),
      (session, position) => this.#settle(session, position),
    )
    this.#history = new SessionHistory(
      this.#writes,
      () => this.#lineOf(members.primary),
      config,
      told.lost,
    )
  }

  /** Roles have changed: positions are asked anew, since they may belong to another history. */
  reset(): void {
    this.#writes.reset()
    this.#catchUp.reset()
  }

  get #settings(): ClusterSettings {
    return this.#config.settings
  }

  /** Whether reads outside explicit sessions see the writes of the process. */
  get #followsProcess(): boolean {
    const { consistency, outsideSession } = this.#config.settings
    return consistency === 'session' && outsideSession === 'process'
  }

  /** A replica has told how far it has come. */
  observe(node: Node, { position, timeline }: ServerState): void {
    if (position !== undefined && timeline !== undefined) {
      this.#catchUp.observe(node, { timeline, lsn: position })
    }
  }

  /** A replica may show less than it did: it is asked anew. */
  forget(node: Node): void {
    this.#catchUp.forget(node)
  }

  /** A node is none of the cluster's any more. */
  left(node: Node): void {
    this.#catchUp.remove(node)
    this.#lines.get(node)?.close()
    this.#lines.delete(node)
  }

  /** The session of the caller: an explicit one, else the process's. */
  session(): Session<Node> {
    return this.#explicit() ?? this.#process
  }

  /** The session that was opened around the caller. */
  explicit(): Session<Node> | undefined {
    return this.#explicit()
  }

  /**
   * To be called before a write is sent. What the session reads after it has committed waits for its
   * position. `undefined` when no read will ever ask for that.
   */
  beginWrite(): FollowedWrite | undefined {
    if (this.#members.replicas.length === 0) return undefined
    const session = this.#explicit()
    if (session === undefined) return this.#followsProcess ? this.#processWrite : undefined
    return {
      question: this.#question,
      committed: (asynchronous, lsn) => {
        this.#writes.committed(session, asynchronous, lsn)
        // The process sees everything that is written in it, by whichever session.
        if (this.#followsProcess) this.#processWrite.committed(asynchronous, lsn)
      },
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

  readonly #question = (asynchronous: boolean): PositionQuestion | undefined =>
    this.#writes.questionWith(asynchronous, this.#members.primary.write.inFlight)

  readonly #processWrite: FollowedWrite = {
    question: this.#question,
    committed: (asynchronous, lsn) => this.#writes.committed(this.#process, asynchronous, lsn),
  }

  #settle(session: Session<Node>, position: Position | undefined): void {
    if (position !== undefined) session.reached(position)
    else session.reachedUnknown(performance.now() + this.#settings.stickyMs)
  }

  /** The last position that the primary has told. */
  latest(): Position | undefined {
    return this.#writes.latest
  }

  /** How far the primary has come, what it has not flushed included; asked anew. */
  present(): Promise<Position | undefined> {
    return this.#writes.present(true)
  }

  /**
   * Lets a session begin where another one, whose position it takes over, has come.
   *
   * @throws HistoryLostError when that is lost, and the settings want an error
   */
  async resume(session: Session<Node>, position: Position): Promise<void> {
    session.reached(position)
    if (this.#history.isElsewhere(session)) await this.#history.settle(session)
    if (session.lost !== undefined) throw session.lost
  }

  /** What a read sees: by the call, the session or the settings. */
  levelOf(call: Consistency | undefined, explicit: Session<Node> | undefined): Consistency {
    const { consistency, outsideSession } = this.#settings
    const wanted = call ?? explicit?.wishes.consistency
    if (wanted !== undefined) return wanted
    if (explicit !== undefined || outsideSession === 'process') return consistency
    return outsideSession === 'primary' ? 'strong' : 'eventual'
  }

  /**
   * Finds out what a read must see, and waits for a replica that shows it, within the budget. No
   * promise where nothing is to be waited for: that is the way of nearly every read.
   */
  demand(
    wanted: Consistency,
    explicit: Session<Node> | undefined,
    candidates: readonly Node[],
  ): Demand | Promise<Demand> {
    if (wanted === 'eventual' || this.#members.replicas.length === 0) return NO_DEMAND
    // What an explicit session has seen there it must not un-see on a replica.
    if (wanted === 'strong')
      return explicit === undefined ? STRONG : { ...STRONG, session: explicit }
    // Where nobody has followed the writes only the primary is sure to show them.
    if (explicit === undefined && !this.#followsProcess) return STRONG
    const session = explicit ?? this.#process
    if (session.lost !== undefined) throw session.lost
    this.#writes.noteRead()
    return this.#known(session, candidates) ?? this.#wait(session, candidates)
  }

  /** The demand when what is known is enough to serve it. */
  #known(session: Session<Node>, candidates: readonly Node[]): Demand | undefined {
    if (session.pending !== undefined || this.#history.isElsewhere(session)) return undefined
    const { position, explicit } = session
    if (session.needsPrimary(performance.now())) {
      return explicit ? { ...ONLY_PRIMARY, session } : ONLY_PRIMARY
    }
    if (explicit && !this.#canStay(session, candidates)) return undefined
    if (position !== undefined && !this.#catchUp.someHas(candidates, position)) return undefined
    if (position === undefined && !explicit) return NO_DEMAND
    return this.#demandOf(session, position, 0)
  }

  #demandOf(session: Session<Node>, position: Position | undefined, waitedMs: number): Demand {
    return {
      position,
      primary: undefined,
      session: session.explicit ? session : undefined,
      waitedMs,
    }
  }

  async #wait(session: Session<Node>, candidates: readonly Node[]): Promise<Demand> {
    if (session.pending !== undefined) await this.#writes.settled(session)
    if (session.explicit && !this.#canStay(session, candidates)) await this.#leave(session)
    if (this.#history.isElsewhere(session)) await this.#settleHistory(session)
    const known = this.#known(session, candidates)
    if (known !== undefined) return known
    const { position } = session
    if (position === undefined) return this.#demandOf(session, position, 0)
    const startedAt = performance.now()
    const { waitTimeoutMs } = this.#settings
    if (!(await this.#catchUp.wait(position, candidates, waitTimeoutMs))) {
      // It may be the position that is wrong: of commits that a crash of the primary has taken back.
      if (await this.#isUnreached(position)) await this.#settleHistory(session)
    }
    // What the process writes meanwhile is not this read's to wait for.
    return this.#demandOf(session, position, performance.now() - startedAt)
  }

  async #settleHistory(session: Session<Node>): Promise<void> {
    await this.#history.settle(session)
    if (session.lost !== undefined) throw session.lost
  }

  async #isUnreached(position: Position): Promise<boolean> {
    const latest = this.#writes.latest
    if (latest !== undefined && latest.lsn >= position.lsn) return false
    const present = await this.#writes.present(true)
    return present !== undefined && present.lsn < position.lsn
  }

  /** Whether a node is known to show what a read must see. */
  sees(node: Node, position: Position): boolean {
    return this.#catchUp.has(node, position)
  }

  /** How much each node that is known to be on the position's timeline still has to replay. */
  missingBytes(nodes: readonly Node[], position: Position): Record<string, number> {
    return Object.fromEntries(
      nodes.flatMap((node) => {
        const missing = this.#catchUp.missing(node, position)
        return missing === undefined ? [] : [[node.name, missing]]
      }),
    )
  }

  /** A node has failed: sessions that have read from it must not see less elsewhere. */
  async lost(node: Node): Promise<void> {
    const session = this.session()
    if (session.lastRead === node) await this.#leave(session)
  }

  /** How far the session has come, reads included; asked of the node that it has read from. */
  async positionOf(session: Session<Node>): Promise<Position | undefined> {
    await this.#writes.settled(session)
    await this.#see(session)
    return session.position
  }

  /** Keeps no connections any more, and asks only what reads wait for. */
  close(): void {
    this.#writes.close()
    for (const line of this.#lines.values()) line.close()
  }

  /** An explicit session stays on the replica of its last read, while that one is healthy and far enough. */
  #canStay({ lastRead, position }: Session<Node>, candidates: readonly Node[]): boolean {
    if (lastRead === undefined) return true
    if (!candidates.includes(lastRead) || lastRead.isQuarantined(performance.now())) return false
    return position === undefined || this.#catchUp.has(lastRead, position)
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
    const read = node === this.#members.primary ? undefined : await this.#catchUp.positionOf(node)
    const present = this.#writes.latest ?? (await this.#writes.present(false))
    const { systemIdentifier } = present ?? {}
    if (read !== undefined) session.reached({ systemIdentifier, ...read })
    else this.#settle(session, await this.#writes.present(false))
  }

  /** The replica that is known to be furthest, for a process's session that cannot be met. */
  freshest(candidates: readonly Node[]): Node | undefined {
    return this.#catchUp.freshest(candidates)
  }

  #lineOf(node: Node): QuestionLine {
    let line = this.#lines.get(node)
    if (line === undefined) {
      line = new QuestionLine(node, (withoutMs) => this.#onSilent(node, withoutMs))
      this.#lines.set(node, line)
    }
    return line
  }
}
