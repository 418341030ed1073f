import { defineConfig } from 'vitest/config'

const project = (name: string, options: Record<string, unknown> = {}) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], ...options },
})

const servers = {
  globalSetup: ['test/integration/global-setup.ts'],
  testTimeout: 30_000,
  hookTimeout: 60_000,
  // On a busy machine what is waited for may take its time; the default is one second.
  expect: { poll: { timeout: 20_000 } },
  // Two cores: every file has databases of its own on the shared servers, more at once only wait.
  maxWorkers: 2,
  sequence: { groupOrder: 1 },
}

/** Some of these compile the sources or start programs, which takes its time on a busy machine. */
const patient = { testTimeout: 60_000, hookTimeout: 60_000 }

export default defineConfig({
  test: {
    projects: [
      project('unit', patient),
      project('property', patient),
      project('integration', servers),
      // Breaks servers of its own. What takes longer than seconds is in `*.long.test.ts`: `npm run test:faults`.
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          exclude: process.env['FAULTS'] === 'all' ? [] : ['test/faults/**/*.long.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 20_000 } },
          maxWorkers: 2,
          sequence: { groupOrder: 4 },
        },
      },
      // Needs the program `pgbouncer`, which npm cannot install: not a part of `npm test`.
      project('pgbouncer', servers),
      // Needs a Docker engine (docker/ci.sh prepares one): not a part of `npm test`.
      {
        test: {
          ...servers,
          name: 'docker',
          globalSetup: ['test/docker/global-setup.ts'],
          include: ['test/docker/**/*.test.ts', 'test/integration/**/*.test.ts'],
          // These start servers of their own, or none: containers would change nothing.
          exclude: [
            'test/integration/cluster/{failover,monitor,outside-writes,session,session-failover,survival}.test.ts',
            'test/integration/cluster/{bad-input,far-away,lag-without-primary,unknown-positions,untold-replicas,without-positions,workers}.test.ts',
            'test/integration/examples/{demo,processes}.test.ts',
            'test/integration/web/*.test.ts',
            'test/integration/testing/{dev,faults,installation,leftovers}.test.ts',
            'test/integration/cli/{explain-config,faults,usage}.test.ts',
          ],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 3 },
        },
      },
      // Installs the packed package into projects outside this one: needs the npm registry.
      project('package', {
        globalSetup: ['test/package/global-setup.ts'],
        testTimeout: 60_000,
        hookTimeout: 300_000,
        maxWorkers: 2,
        sequence: { groupOrder: 2 },
      }),
      {
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['test/types/**/*.test-d.ts'],
            tsconfig: './tsconfig.json',
          },
        },
      },
    ],
  },
})
