/** Everything that an application imports from `segregato`. A list of names, nothing else. */
export { Cluster, type ConnectOptions } from './cluster/cluster.ts'
export type { CloseOptions } from './cluster/close.ts'
export { connect } from './cluster/connect.ts'
export {
  CHANNELS,
  type ClusterEvents,
  type DurabilityEvent,
  type EventSource,
  type LagEvent,
  type NodeEvent,
  type NodeState,
  type QueryEvent,
  type HistoryEvent,
  type PrimaryEvent,
  type ReloadEvent,
  type RoleEvent,
  type StaleEvent,
  type TokenEvent,
} from './cluster/events.ts'
export { type Isolation, ISOLATIONS } from './cluster/scope.ts'
export type { ReloadOptions } from './cluster/reload.ts'
export type { OpenSession, SessionOptions } from './cluster/session.ts'
export type { Settings } from './cluster/settings.ts'
export type { SnapshotOptions } from './cluster/snapshot.ts'
export {
  type CallOptions,
  type Executor,
  type PageReader,
  ROUTE_REASONS,
  type RoutedPool,
  type RoutedQueries,
  type RoutedArrayResult,
  type RoutedResult,
  type RouteReason,
  type Routing,
  type Statement,
  type Target,
} from './cluster/statement.ts'
export type { ClusterStatus, NodeStatus, SessionCounts } from './cluster/status.ts'
export type { TransactionRetry } from './cluster/repeat.ts'
export type { TransactionOptions } from './cluster/transaction.ts'
export type { VerifiedNode } from './cluster/verify.ts'
export type { ClusterConfigInput, NodeInput, SettingsInput, SslInput } from './config/input.ts'
export type { SecretSource } from './config/secret.ts'
export {
  type BalancerFunction,
  type Balancing,
  BALANCINGS,
  type CandidateView,
} from './config/types.ts'
export type { PoolOptions } from './nodes/options.ts'
export type { TokenKey } from './routing/token.ts'
export type { ConnectionCounts } from './nodes/connections.ts'
export type { ServerIdentity } from './nodes/probe.ts'
export type { ClusterSource, ModelCluster, WriteOptions } from './models/binding.ts'
export type { Refused, RefusedByRead, RefusedByWrite } from './models/operations.ts'
export type { ReadQuery } from './models/read-query.ts'
export type { BatchOptions, PageOptions, StreamOptions } from './models/pages.ts'
export type { Selected } from './models/reads.ts'
export { StrictReadBase } from './models/strict-read-base.ts'
export { StrictWriteBase } from './models/strict-write-base.ts'
export {
  type Attributes,
  type Column,
  type ColumnKind,
  COLUMN_KINDS,
  type CreateInput,
  type Direction,
  type Id,
  type KeyValue,
  type Model,
  type Page,
  type ReadModel,
  type Row,
  type Total,
  type UpdateInput,
  type Where,
  type WriteModel,
} from './models/types.ts'
export type { UpsertOptions } from './models/writes.ts'
export * from './errors.ts'
