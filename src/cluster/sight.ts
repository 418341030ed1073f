import type { Node } from '../nodes/node.ts'
import { UNKNOWN_LSN } from '../nodes/position.ts'
import type { Position } from '../nodes/position.ts'
import type { Session } from '../routing/session.ts'
import type { CatchUp } from './catch-up.ts'
import type { Sessions } from './sessions.ts'
import type { Members } from './topology.ts'
import type { WritePositions } from './write-positions.ts'

/** What is known of writes, replicas and sessions. */
export interface Knowledge {
  readonly members: Members
  readonly sessions: Sessions
  readonly writes: WritePositions
  readonly catchUp: CatchUp
}

/** Keeps sessions from un-seeing what they have read: that too has a position, which is asked for when it is needed. */
export class Sight {
  readonly #known: Knowledge

  constructor(known: Knowledge) {
    this.#known = known
  }

  /** An explicit session stays on the replica of its last read, while that one is healthy and far enough. */
  canStay(session: Session<Node>, candidates: readonly Node[]): boolean {
    const { lastRead, position } = session
    if (lastRead === undefined) return true
    const now = performance.now()
    if (!candidates.includes(lastRead) || lastRead.isQuarantined(now)) return false
    return (
      position === undefined || this.#known.catchUp.shows(lastRead, position, session.isRecent(now))
    )
  }

  /** The session is to be served by another node than the one that it has read from. */
  async leave(session: Session<Node>): Promise<void> {
    await this.#see(session)
    session.lastRead = undefined
  }

  /** A node has failed: sessions that have read from it must not see less elsewhere. */
  async lost(node: Node): Promise<void> {
    const session = this.#known.sessions.current
    if (session.lastRead === node) await this.leave(session)
  }

  /**
   * How far the session has come, reads included; asked of the node that it has read from. When the
   * primary does not tell, a position that only the primary is sure to show.
   */
  async positionOf(session: Session<Node>): Promise<Position | undefined> {
    const { writes } = this.#known
    await writes.settled(session)
    if (session.isUnsettled) await writes.unsettle(session)
    await this.#see(session)
    const { position, isUnsettled } = session
    if (!isUnsettled) return position
    const { systemIdentifier, timeline = 1 } = position ?? writes.latest ?? {}
    return { systemIdentifier, timeline, lsn: UNKNOWN_LSN }
  }

  /**
   * To be called before a transaction ends; the function that it returns is to be called afterwards
   * with the node that it ran on. A commit that wrote has a position, which covers what was read
   * before it. Without one an explicit session has read from that node all the same.
   */
  beginEnd(): (node: Node) => void {
    const session = this.#known.sessions.explicit
    if (session === undefined) return () => {}
    const { expected } = session
    return (node) => {
      if (session.expected === expected) session.lastRead = node
    }
  }

  /**
   * Takes what the session has read into its position: as far as its replica has come by now, or the
   * primary's present position when that replica is gone.
   */
  async #see(session: Session<Node>): Promise<void> {
    const node = session.lastRead
    if (node === undefined) return
    const { members, catchUp, writes, sessions } = this.#known
    const read = node === members.primary ? undefined : await catchUp.positionOf(node)
    if (read === undefined) {
      await writes.see(session)
      return
    }
    const present = writes.latest ?? (await writes.present(false))
    sessions.settle(session, { systemIdentifier: present?.systemIdentifier, ...read })
  }
}
