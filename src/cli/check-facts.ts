import type { NodeConfig } from '../config/types.ts'
import type {
  ConnectionLimits,
  ReplicationSlot,
  ServerInspection,
  StandbyInspection,
} from '../nodes/inspection.ts'

/** How serious a finding is. Only a problem fails the check. */
export const SEVERITIES = ['problem', 'warning', 'note', 'ok'] as const
export type Severity = (typeof SEVERITIES)[number]

/** One thing that was looked at. */
export interface Finding {
  readonly severity: Severity
  /** What was looked at; stable, for scripts. */
  readonly code: FindingCode
  readonly node: string
  /** One sentence. */
  readonly message: string
  /** Where the remedy is described; absent when nothing is to be done. */
  readonly docs?: string
}

/** What is looked at. docs/command-line.md has a heading for each. */
export const FINDING_CODES = [
  'unreachable',
  'refused',
  'role',
  'identity',
  'same-server',
  'version',
  'streaming',
  'replay-paused',
  'apply-delay',
  'lag',
  'slot',
  'unused-slot',
  'hot-standby-feedback',
  'max-standby-streaming-delay',
  'connections',
  'unknown',
] as const
export type FindingCode = (typeof FINDING_CODES)[number]

/** How far a replica is behind the primary. */
export interface Lag {
  readonly bytes: number
  /** How long it took to reach where the primary stood; when it did not, how long was waited. */
  readonly ms: number
  readonly caughtUp: boolean
}

/** What one server answered. */
export interface NodeAnswer {
  readonly server: ServerInspection
  readonly limits: ConnectionLimits | undefined
  /** Only of a server that is not in recovery: whether it tells the positions of writes. */
  readonly positions: boolean | undefined
  /** Only of a server in recovery. */
  readonly standby: StandbyInspection | undefined
  /** Only of a server that is not in recovery; `undefined` also when they are not known. */
  readonly slots: readonly ReplicationSlot[] | undefined
  /** `undefined`: not known. */
  readonly lag: Lag | undefined
}

/** Why there is no answer. */
export interface NodeFailure {
  /** `refused`: the server is there and will never let us in like this. */
  readonly kind: 'unreachable' | 'refused'
  readonly reason: string
}

/** A configured node and what was learned of it. */
export type NodeReport = Pick<
  NodeConfig,
  'name' | 'role' | 'host' | 'port' | 'username' | 'pool' | 'pgbouncer'
> &
  (
    | { readonly answer: NodeAnswer; readonly failure?: never }
    | { readonly answer?: never; readonly failure: NodeFailure }
  )

/** Everything that the rules look at. */
export interface CheckFacts {
  /** The configured primary first. */
  readonly nodes: readonly NodeReport[]
  readonly allowSameServer: boolean
  readonly maxLagMs: number | undefined
  /** How many processes of the application there will be. */
  readonly processes: number
}
