import { Cluster } from './cluster.ts'
import type { ConnectOptions } from './cluster.ts'

/** The open clusters of the process, the default one first. */
interface Registry {
  readonly open: Cluster[]
  /** The default one was opened by the models themselves. */
  implicit: boolean
}

/** Under one key, so that two installed copies of the library share the default cluster. */
const KEY = Symbol.for('segregato.clusters')

/** @internal */
export const registry = (): Registry => {
  const shared = globalThis as { [KEY]?: Registry }
  return (shared[KEY] ??= { open: [], implicit: false })
}

/** Opens a cluster and enters it. @internal */
export const openCluster = (options: ConnectOptions): Cluster => {
  const cluster = new Cluster(options, forget)
  registry().open.push(cluster)
  return cluster
}

const forget = (cluster: Cluster): void => {
  const clusters = registry()
  const index = clusters.open.indexOf(cluster)
  if (index === -1) return
  clusters.open.splice(index, 1)
  if (index === 0) clusters.implicit = false
}

/**
 * The cluster of models that are bound to no other: the first one opened, else one that the
 * environment names, opened now.
 */
export const defaultCluster = (): Cluster => {
  const clusters = registry()
  const [first] = clusters.open
  if (first !== undefined) return first
  const cluster = openCluster({})
  clusters.implicit = true
  return cluster
}
