import { defineConfig } from 'vitest/config'

const project = (name: string, options: Record<string, unknown> = {}) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], ...options },
})

const servers = {
  globalSetup: ['test/integration/global-setup.ts'],
  testTimeout: 30_000,
  hookTimeout: 60_000,
  // Two cores: every file has databases of its own on the shared servers, more at once only wait.
  maxWorkers: 2,
  sequence: { groupOrder: 1 },
}

export default defineConfig({
  test: {
    projects: [
      project('unit'),
      project('property'),
      project('integration', servers),
      // Needs the program `pgbouncer`, which npm cannot install: not a part of `npm test`.
      project('pgbouncer', servers),
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
