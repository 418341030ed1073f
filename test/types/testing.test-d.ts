import { expectTypeOf, test } from 'vitest'
import type { ClusterConfigInput } from '../../src/config/input.ts'
import type { TestClusterConfig } from '../../src/testing/start-cluster.ts'

test('the configuration of a test cluster is one that connect() takes', () => {
  expectTypeOf<TestClusterConfig>().toExtend<ClusterConfigInput>()
})
