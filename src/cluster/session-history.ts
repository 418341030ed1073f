import type { ClusterSettings } from '../config/types.ts'
import { HistoryLostError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { formatLsn } from '../nodes/position.ts'
import type { Position } from '../nodes/position.ts'
import { containment, probeTimelineHistory } from '../nodes/timeline-history.ts'
import type { Containment, TimelineHistory } from '../nodes/timeline-history.ts'
import type { Session } from '../routing/session.ts'
import type { HistoryEvent } from './events.ts'
import type { QuestionLine } from './question-line.ts'
import type { WritePositions } from './write-positions.ts'

/** How often a primary that does not tell its position, or its history, is asked for it by sessions. */
const RECHECK_MS = 1_000

/** Who is told of a lost history, and says whether it can be judged. */
interface Told {
  readonly lost: (event: HistoryEvent) => void
  readonly failover: { readonly trusted: Node | undefined; look(): Promise<void> }
}

/** What sessions of before a failover are worth after it. */
export class SessionHistory {
  readonly #writes: WritePositions
  readonly #primaryLine: () => QuestionLine
  readonly #config: { readonly settings: ClusterSettings }
  readonly #told: Told
  #history: TimelineHistory | undefined
  #historyOf: number | undefined
  #historyAt = -Infinity
  #unansweredAt = -Infinity

  constructor(
    writes: WritePositions,
    primaryLine: () => QuestionLine,
    config: { readonly settings: ClusterSettings },
    told: Told,
  ) {
    this.#writes = writes
    this.#primaryLine = primaryLine
    this.#config = config
    this.#told = told
  }

  /** Whether a session's position belongs to another timeline than the primary's, as far as that is known. */
  isElsewhere({ position }: Session<Node>): boolean {
    return position !== undefined && position.timeline !== this.#writes.timeline
  }

  /**
   * Brings a session's position into the history of the present primary, so that no read waits for what
   * will not come: the same position where that history holds it, else the primary's present one, which
   * shows all that is left.
   */
  async settle(session: Session<Node>): Promise<void> {
    const { position } = session
    if (position === undefined || performance.now() - this.#unansweredAt < RECHECK_MS) return
    const present = await this.#writes.present(true)
    if (present === undefined) {
      this.#unansweredAt = performance.now()
      return
    }
    const found = await this.#judge(position, present)
    // Another read of the session may have been here first.
    if (session.position !== position) return
    // Of two servers that accept writes the other one may have it.
    const { failover } = this.#told
    if (found === 'lost' && failover.trusted === undefined) {
      await failover.look()
      return failover.trusted === undefined ? undefined : this.settle(session)
    }
    if (found === 'contained') {
      session.moved({ ...present, lsn: position.lsn })
      return
    }
    if (session.explicit) session.prefersPrimary = true
    if (found === 'lost') this.#lose(session, position, present)
    session.moved(present)
  }

  #lose(session: Session<Node>, position: Position, present: Position): void {
    const { timeline } = position
    const lsn = formatLsn(position.lsn)
    this.#told.lost({
      timeline,
      lsn,
      presentTimeline: present.timeline,
      presentLsn: formatLsn(present.lsn),
      explicit: session.explicit,
    })
    if (session.explicit && this.#config.settings.onHistoryLost === 'error') {
      session.lost = new HistoryLostError({ timeline, lsn })
    }
  }

  async #judge(position: Position, present: Position): Promise<Containment> {
    const guess = containment(position, present, undefined)
    if (guess !== 'unknown') return guess
    return containment(position, present, await this.#historyFor(present.timeline))
  }

  async #historyFor(timeline: number): Promise<TimelineHistory | undefined> {
    const now = performance.now()
    const known = this.#historyOf === timeline && this.#history !== undefined
    if (known || (this.#historyOf === timeline && now - this.#historyAt < RECHECK_MS)) {
      return this.#history
    }
    this.#historyAt = now
    const history = await this.#primaryLine().ask((client) =>
      probeTimelineHistory(client, timeline),
    )
    this.#historyOf = timeline
    return (this.#history = history)
  }
}
