import type { TestProject } from 'vitest/node'
import { LOG_SETTINGS } from '../integration/global-setup.ts'
import { startContainers } from '../support/docker.ts'

/** Starts one primary with two replicas in containers, for the integration tests that share servers. */
export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const servers = await startContainers(LOG_SETTINGS)
  project.provide('segregatoCluster', { config: servers.config, directory: servers.directory })
  return () => servers.close()
}
