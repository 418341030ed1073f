/** Everything that an application imports from `segregato`. A list of names, nothing else. */
export { Cluster, type ConnectOptions } from './cluster/cluster.ts'
export type { CloseOptions } from './cluster/close.ts'
export { connect } from './cluster/connect.ts'
export { CHANNELS, type ClusterEvents, type NodeEvent, type QueryEvent } from './cluster/events.ts'
export type { Isolation } from './cluster/scope.ts'
export type { Settings } from './cluster/settings.ts'
export type { SnapshotOptions } from './cluster/snapshot.ts'
export type {
  CallOptions,
  Executor,
  PageReader,
  RoutedResult,
  RouteReason,
  Routing,
  Statement,
  Target,
} from './cluster/statement.ts'
export type { ClusterStatus, NodeStatus } from './cluster/status.ts'
export type { TransactionOptions } from './cluster/transaction.ts'
export type { VerifiedNode } from './cluster/verify.ts'
export type { ClusterConfigInput } from './config/input.ts'
export type { BalancerFunction, Balancing, CandidateView } from './config/types.ts'
export type { PoolOptions } from './nodes/options.ts'
export type { ConnectionCounts } from './nodes/connections.ts'
export { StrictReadBase } from './models/strict-read-base.ts'
export { StrictWriteBase } from './models/strict-write-base.ts'
export * from './errors.ts'
