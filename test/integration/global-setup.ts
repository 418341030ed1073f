import type { TestProject } from 'vitest/node'
import { startCluster, type TestClusterConfig } from '../../src/testing/start-cluster.ts'

/** What the tests get to know about the servers that they share; see test/support/servers.ts. */
export interface SharedCluster {
  readonly config: TestClusterConfig
  /** Where the servers write their logs, as `<name>.log`. */
  readonly directory: string
}

declare module 'vitest' {
  interface ProvidedContext {
    segregatoCluster: SharedCluster
  }
}

/** What test/support/statements.ts reads. */
export const LOG_SETTINGS = { log_statement: 'all', log_line_prefix: '# %p %u %d <%a># ' }

/** Starts one primary with two replicas for the whole integration project. */
export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const servers = await startCluster({
    replicas: 2,
    settings: LOG_SETTINGS,
  })
  project.provide('segregatoCluster', { config: servers.config, directory: servers.directory })
  return () => servers.close()
}
