import type { ProxyMode } from '../support/fault-proxy.ts'
import type { Held } from './history.ts'

/** A session on its way from one process to another, as a browser carries it. */
export interface Traveller {
  readonly session: string
  readonly token: string | undefined
  /** Keys that it has touched: those whose lists it must not un-see. */
  readonly keys: readonly string[]
  readonly visits: number
  /** It never writes: what it must see comes from its reads alone. */
  readonly onlyReads: boolean
}

/** What a worker is told first. */
export interface WorkerStart {
  readonly name: string
  readonly seed: number
  /** How many callers at once. */
  readonly sessions: number
  /** Each value is used once in a run: those of this worker begin here. */
  readonly firstValue: number
  /** Where the calls are recorded, one line each. */
  readonly file: string
  /** For `connect({ config })`. */
  readonly config: object
  readonly tokenSecret: string
}

export type ToWorker =
  | { readonly type: 'start'; readonly start: WorkerStart }
  | { readonly type: 'traveller'; readonly traveller: Traveller }
  | { readonly type: 'stall'; readonly ms: number }
  | { readonly type: 'measure' }
  | { readonly type: 'stop' }
  | { readonly type: 'ask' }
  | { readonly type: 'close' }

export type FromWorker =
  | { readonly type: 'started' }
  | { readonly type: 'traveller'; readonly traveller: Traveller }
  | { readonly type: 'heap'; readonly bytes: number; readonly at: number }
  | { readonly type: 'stopped' }
  | { readonly type: 'held'; readonly held: readonly Held[] }
  | { readonly type: 'complaint'; readonly message: string }
  | { readonly type: 'closed' }

/** What is between the workers and the servers is a process of its own, so that nothing else holds it up. */
export type ToProxies =
  | { readonly type: 'open'; readonly ports: Readonly<Record<string, number>> }
  | {
      readonly type: 'set'
      readonly id: number
      readonly node: string
      readonly mode: ProxyMode
      readonly delayMs: number
    }
  | { readonly type: 'reset'; readonly id: number; readonly node: string }

export type FromProxies =
  | { readonly type: 'opened'; readonly ports: Readonly<Record<string, number>> }
  | { readonly type: 'done'; readonly id: number }
