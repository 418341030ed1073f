import { defineConfig } from 'vitest/config'

const project = (name: string, options: Record<string, unknown> = {}) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], ...options },
})

export default defineConfig({
  test: {
    projects: [
      project('unit'),
      project('property'),
      project('integration', {
        globalSetup: ['test/integration/global-setup.ts'],
        testTimeout: 30_000,
        hookTimeout: 60_000,
        // Two cores: every file has databases of its own on the shared servers, more at once only wait.
        maxWorkers: 2,
      }),
      {
        test: {
          name: 'types',
          include: [],
          typecheck: { enabled: true, only: true, include: ['test/types/**/*.test-d.ts'], tsconfig: './tsconfig.json' },
        },
      },
    ],
  },
})
