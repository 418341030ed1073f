import type { ClientBase } from 'pg'
import { probeWriteFacts } from '../nodes/probe.ts'
import type { WriteFacts } from '../nodes/probe.ts'

/** A promotion or a changed setting is noticed within this time. */
const MAX_AGE_MS = 1_000

/** What positions of writes need to know of the primary beside a number. Asked anew when it may have changed. */
export class PrimaryFacts {
  #facts: WriteFacts | undefined
  #at = -Infinity
  /** Behind another connection there may be another server. */
  #from: ClientBase | undefined
  #generation = 0

  /** What was told last. */
  get known(): WriteFacts | undefined {
    return this.#facts
  }

  /** The same, unless it was told too long ago. */
  get recent(): WriteFacts | undefined {
    return performance.now() - this.#at > MAX_AGE_MS ? undefined : this.#facts
  }

  /** How often the primary has become another one: answers to questions of before belong to the old one. */
  get generation(): number {
    return this.#generation
  }

  /** The primary is another one. */
  reset(): void {
    this.#generation++
    this.forget()
  }

  /** What is known counts no more. */
  forget(): void {
    this.#facts = undefined
  }

  /** What the server behind a connection says, unless it has just said so. */
  async of(client: ClientBase): Promise<WriteFacts> {
    const recent = client === this.#from ? this.recent : undefined
    if (recent !== undefined) return recent
    const generation = this.#generation
    const at = performance.now()
    const facts = await probeWriteFacts(client)
    // Of the old primary they would put positions of the new one on the wrong timeline.
    if (generation === this.#generation) {
      this.#facts = facts
      this.#at = at
      this.#from = client
    }
    return facts
  }
}
