import { DefaultClusterError } from '../errors.ts'
import type { Cluster, ConnectOptions } from './cluster.ts'
import { openCluster, registry } from './default-cluster.ts'

/**
 * Opens a cluster: reads and checks the configuration. No socket is opened before the first
 * statement. The first cluster opened is the default one of the models; after it is closed, the
 * next one opened is.
 *
 * @throws ConfigError with all mistakes of the configuration
 * @throws DefaultClusterError when models have opened the default cluster already
 *
 * @example
 * ```ts
 * const cluster = connect({ config: 'config/database.yml', env: 'production' })
 * ```
 */
export const connect = (options: ConnectOptions = {}): Cluster => {
  if (registry().implicit) throw new DefaultClusterError()
  return openCluster(options)
}
