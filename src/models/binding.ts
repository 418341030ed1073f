import type { CallOptions, Executor, PageReader } from '../cluster/statement.ts'
import type { TransactionOptions } from '../cluster/transaction.ts'
import { defaultCluster } from '../cluster/default-cluster.ts'
import { InvalidArgumentError } from '../errors.ts'

/** The part of a cluster that models use. */
export interface ModelCluster {
  /** Runs the statements of write models. */
  readonly writer: Executor
  /** Runs the statements of read models. */
  readonly reader: Executor & PageReader
  /** Runs a function in one transaction on the primary. */
  transaction<T>(fn: () => Promise<T>, options?: TransactionOptions): Promise<T>
}

/** What `static cluster` may be: a cluster, or a function that gives one on first use. */
export type ClusterSource = ModelCluster | (() => ModelCluster)

/** What a caller may say about one write. */
export type WriteOptions = Pick<CallOptions, 'timeoutMs' | 'signal'>
/** Their names. */
export const WRITE_OPTIONS: readonly (keyof WriteOptions)[] = ['timeoutMs', 'signal']

/** The cluster of a model: its own `static cluster`, or the default one. */
export const clusterOf = (model: {
  readonly name: string
  readonly cluster: ClusterSource | undefined
}): ModelCluster => {
  const { cluster } = model
  if (cluster === undefined) return defaultCluster()
  const found = typeof cluster === 'function' ? cluster() : cluster
  if (typeof found?.transaction !== 'function') {
    throw new InvalidArgumentError(
      `${model.name}.cluster is not a cluster. Give what connect() returns, or a function that returns it`,
    )
  }
  return found
}
