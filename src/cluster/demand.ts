import type { ClusterSettings, Consistency } from '../config/types.ts'
import type { Node } from '../nodes/node.ts'
import type { Position } from '../nodes/position.ts'
import type { Session } from '../routing/session.ts'
import type { SessionHistory } from './session-history.ts'
import type { Knowledge, Sight } from './sight.ts'

/** What a read must see, and what was done about it. */
export interface Demand {
  /** What a node must have replayed to serve; absent: any may. */
  readonly position: Position | undefined
  /** Nodes that do not tell what they have replayed may not show it yet. */
  readonly isRecent: boolean
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
  isRecent: false,
  primary: undefined,
  session: undefined,
  waitedMs: 0,
}
const STRONG: Demand = { ...NO_DEMAND, primary: 'strong' }
const ONLY_PRIMARY: Demand = { ...NO_DEMAND, primary: 'only' }

/** What demands are made of. */
interface Surroundings extends Knowledge {
  readonly config: { readonly settings: ClusterSettings }
  readonly history: SessionHistory
  readonly sight: Sight
}

/** Finds out what reads must see, and waits until a replica shows it. */
export class Demands {
  readonly #around: Surroundings

  constructor(around: Surroundings) {
    this.#around = around
  }

  /**
   * What a read must see, after a replica was waited for that shows it, within the budget. No promise
   * where nothing is to be waited for: that is the way of nearly every read.
   */
  of(
    wanted: Consistency,
    explicit: Session<Node> | undefined,
    candidates: readonly Node[],
  ): Demand | Promise<Demand> {
    const { members, sessions, writes } = this.#around
    if (wanted === 'eventual' || members.replicas.length === 0) return NO_DEMAND
    // What an explicit session has seen there it must not un-see on a replica.
    if (wanted === 'strong')
      return explicit === undefined ? STRONG : { ...STRONG, session: explicit }
    // Where nobody has followed the writes only the primary is sure to show them.
    if (explicit === undefined && !sessions.followsProcess) return STRONG
    const session = explicit ?? sessions.process
    if (session.lost !== undefined) throw session.lost
    writes.noteRead()
    return this.#known(session, candidates) ?? this.#wait(session, candidates)
  }

  /** The demand when what is known is enough to serve it. */
  #known(session: Session<Node>, candidates: readonly Node[]): Demand | undefined {
    const { writes, history, sight, catchUp } = this.#around
    if (session.pending !== undefined || history.isElsewhere(session)) return undefined
    const { position, explicit } = session
    if (session.isUnsettled) writes.resettle()
    const only = this.#onlyPrimary(session, candidates)
    if (only !== undefined) return only
    if (explicit && !sight.canStay(session, candidates)) return undefined
    const isRecent = session.isRecent(performance.now())
    if (position !== undefined && !catchUp.someShow(candidates, position, isRecent))
      return undefined
    if (position === undefined && !explicit) return NO_DEMAND
    return demandOf(session, position, 0)
  }

  /** Where nobody else tells, or can be told, that it shows what the session must see. */
  #onlyPrimary(session: Session<Node>, candidates: readonly Node[]): Demand | undefined {
    const now = performance.now()
    const { position, explicit } = session
    const untold =
      position !== undefined && session.isRecent(now) && this.#around.catchUp.noneTells(candidates)
    if (!untold && !session.needsPrimary(now)) return undefined
    return explicit ? { ...ONLY_PRIMARY, session } : ONLY_PRIMARY
  }

  async #wait(session: Session<Node>, candidates: readonly Node[]): Promise<Demand> {
    const { writes, history, sight, catchUp, config } = this.#around
    if (session.pending !== undefined) await writes.settled(session)
    if (session.explicit && !sight.canStay(session, candidates)) await sight.leave(session)
    if (history.isElsewhere(session)) await this.#settleHistory(session)
    const known = this.#known(session, candidates)
    if (known !== undefined) return known
    const { position } = session
    if (position === undefined) return demandOf(session, position, 0)
    const startedAt = performance.now()
    if (!(await catchUp.wait(position, candidates, config.settings.waitTimeoutMs))) {
      // It may be the position that is wrong: of commits that a crash of the primary has taken back.
      if (await this.#isUnreached(position)) await this.#settleHistory(session)
      // They may have refused to tell.
      const only = this.#onlyPrimary(session, candidates)
      if (only !== undefined) return { ...only, waitedMs: performance.now() - startedAt }
    }
    // What the process writes meanwhile is not this read's to wait for.
    return demandOf(session, position, performance.now() - startedAt)
  }

  async #settleHistory(session: Session<Node>): Promise<void> {
    await this.#around.history.settle(session)
    if (session.lost !== undefined) throw session.lost
  }

  async #isUnreached(position: Position): Promise<boolean> {
    const { writes } = this.#around
    if (writes.latest !== undefined && writes.latest.lsn >= position.lsn) return false
    const present = await writes.present(true)
    return present !== undefined && present.lsn < position.lsn
  }
}

const demandOf = (
  session: Session<Node>,
  position: Position | undefined,
  waitedMs: number,
): Demand => ({
  position,
  isRecent: session.isRecent(performance.now()),
  primary: undefined,
  session: session.explicit ? session : undefined,
  waitedMs,
})
