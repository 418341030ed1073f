import type { ClusterSettings, Consistency } from '../config/types.ts'
import type { Node } from '../nodes/node.ts'
import type { Position } from '../nodes/position.ts'
import { Session } from '../routing/session.ts'

/** The sessions that a caller can be in: one that was opened around it, else the process's own. */
export class Sessions {
  /** What is written in this process, by whichever session. */
  readonly process = new Session<Node>(false)
  readonly #config: { readonly settings: ClusterSettings }
  readonly #explicit: () => Session<Node> | undefined

  /** @param explicit - the caller's session, when one was opened */
  constructor(
    config: { readonly settings: ClusterSettings },
    explicit: () => Session<Node> | undefined,
  ) {
    this.#config = config
    this.#explicit = explicit
  }

  /** The session that was opened around the caller. */
  get explicit(): Session<Node> | undefined {
    return this.#explicit()
  }

  /** The session of the caller. */
  get current(): Session<Node> {
    return this.#explicit() ?? this.process
  }

  /** Whether reads outside explicit sessions see the writes of the process. */
  get followsProcess(): boolean {
    const { consistency, outsideSession } = this.#config.settings
    return consistency === 'session' && outsideSession === 'process'
  }

  /** What a read sees: by the call, the session or the settings. */
  levelOf(call: Consistency | undefined, explicit: Session<Node> | undefined): Consistency {
    const { consistency, outsideSession } = this.#config.settings
    const wanted = call ?? explicit?.wishes.consistency
    if (wanted !== undefined) return wanted
    if (explicit !== undefined || outsideSession === 'process') return consistency
    return outsideSession === 'primary' ? 'strong' : 'eventual'
  }

  /** A session has come so far; without a position only the primary is sure to show it, for a while. */
  settle(session: Session<Node>, position: Position | undefined): void {
    const until = performance.now() + this.#config.settings.stickyMs
    if (position !== undefined) session.reached(position, until)
    else session.reachedUnknown(until)
  }
}
