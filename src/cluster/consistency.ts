import type { ClusterSettings } from '../config/types.ts'
import type { Node } from '../nodes/node.ts'
import type { FollowedWrite } from '../nodes/options.ts'
import { UNKNOWN_LSN } from '../nodes/position.ts'
import type { Position } from '../nodes/position.ts'
import type { PositionQuestion } from '../nodes/position-question.ts'
import type { ServerState } from '../nodes/state.ts'
import type { Session } from '../routing/session.ts'
import { CatchUp } from './catch-up.ts'
import { Demands } from './demand.ts'
import type { HistoryEvent } from './events.ts'
import type { Failover } from './failover.ts'
import { QuestionLine } from './question-line.ts'
import { SessionHistory } from './session-history.ts'
import { Sessions } from './sessions.ts'
import { Sight } from './sight.ts'
import type { Members } from './topology.ts'
import { WritePositions } from './write-positions.ts'

/** Keeps what sessions must see: positions of writes, positions of replicas, and the process's own session. */
export class ConsistencyKeeper {
  readonly sessions: Sessions
  /** What sessions have read. */
  readonly sight: Sight
  /** What reads must see. */
  readonly demands: Demands
  /** What replicas have replayed. */
  readonly catchUp: CatchUp
  readonly #members: Members
  readonly #onSilent: (node: Node, withoutMs: number) => void
  readonly #lines = new Map<Node, QuestionLine>()
  readonly #writes: WritePositions
  readonly #history: SessionHistory

  /**
   * @param explicit - the caller's session, when one was opened
   * @param told - of a session whose history is lost, and of a node that does not answer; and who knows
   *   whether the primary is one for sure
   */
  constructor(
    members: Members,
    config: { readonly settings: ClusterSettings },
    explicit: () => Session<Node> | undefined,
    told: {
      readonly lost: (event: HistoryEvent) => void
      readonly silent: (node: Node, withoutMs: number) => void
      readonly failover: Failover
    },
  ) {
    this.#members = members
    this.#onSilent = told.silent
    const primaryLine = (): QuestionLine => this.#lineOf(members.primary)
    const sessions = (this.sessions = new Sessions(config, explicit))
    const catchUp = (this.catchUp = new CatchUp((node) => this.#lineOf(node)))
    const writes = (this.#writes = new WritePositions(primaryLine, (session, position) =>
      sessions.settle(session, position),
    ))
    const history = (this.#history = new SessionHistory(writes, primaryLine, config, told))
    const known = { members, sessions, writes, catchUp }
    const sight = (this.sight = new Sight(known))
    this.demands = new Demands({ ...known, config, history, sight })
  }

  /** Roles have changed: positions are asked anew, since they may belong to another history. */
  reset(): void {
    this.#writes.reset()
    this.catchUp.reset()
  }

  /** A replica has told how far it has come. */
  observe(node: Node, { position, timeline }: ServerState): void {
    if (position !== undefined && timeline !== undefined) {
      this.catchUp.observe(node, { timeline, lsn: position })
    }
  }

  /** A node is none of the cluster's any more. */
  left(node: Node): void {
    this.catchUp.remove(node)
    this.#lines.get(node)?.close()
    this.#lines.delete(node)
  }

  /**
   * To be called before a write is sent. What the session reads after it has committed waits for its
   * position. `undefined` when no read will ever ask for that.
   */
  beginWrite(): FollowedWrite | undefined {
    if (this.#members.replicas.length === 0) return undefined
    const { explicit: session, followsProcess } = this.sessions
    if (session === undefined) return followsProcess ? this.#processWrite : undefined
    return {
      question: this.#question,
      committed: (asynchronous, lsn) => {
        this.#writes.committed(session, asynchronous, lsn)
        // The process sees everything that is written in it, by whichever session.
        if (this.sessions.followsProcess) this.#processWrite.committed(asynchronous, lsn)
      },
    }
  }

  readonly #question = (asynchronous: boolean): PositionQuestion | undefined =>
    this.#writes.questionWith(asynchronous, this.#members.primary.write.inFlight)

  readonly #processWrite: FollowedWrite = {
    question: this.#question,
    committed: (asynchronous, lsn) =>
      this.#writes.committed(this.sessions.process, asynchronous, lsn),
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
    if (position.lsn === UNKNOWN_LSN) {
      await this.#writes.unsettle(session)
      return
    }
    this.sessions.settle(session, position)
    if (this.#history.isElsewhere(session)) await this.#history.settle(session)
    if (session.lost !== undefined) throw session.lost
  }

  /** Keeps no connections any more, and asks only what reads wait for. */
  close(): void {
    this.#writes.close()
    for (const line of this.#lines.values()) line.close()
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
