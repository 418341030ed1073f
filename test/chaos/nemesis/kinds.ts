import type { Kind } from './schedule.ts'
import type { Stage } from './stage.ts'

/** One fault that is being injected. */
export interface Injection {
  /** The server that it is for; empty when it is for none. */
  readonly node: string
  readonly lastsMs: number
  readonly size: number
  /** Tells that a process was ended, whose calls stay open. */
  readonly killed: (process: string) => void
}

/** A kind of fault, and how it is made and mended. */
export interface FaultKind extends Kind {
  /** Nobody may fail because of it. */
  readonly harmless?: boolean
  /** All servers are affected. */
  readonly affectsAll?: boolean
  /** Resolves when it is there, with what ends it and resolves when the servers are whole again. */
  readonly begin: (stage: Stage, injection: Injection) => Promise<() => Promise<void>>
}
