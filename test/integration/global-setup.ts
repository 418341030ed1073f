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

/** Starts one primary with two replicas for the whole integration project. */
export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const servers = await startCluster({
    replicas: 2,
    settings: {
      log_statement: 'all',
      // Read by test/support/statements.ts.
      log_line_prefix: '# %p %u %d <%a># ',
    },
  })
  project.provide('segregatoCluster', { config: servers.config, directory: servers.directory })
  return () => servers.close()
}
