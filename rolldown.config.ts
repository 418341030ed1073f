import { defineConfig } from 'rolldown'

/**
 * Puts the modules of one entry into one file: an application that imports the library reads a few
 * files instead of a hundred, which is most of what an import costs (`npm run bench:import`).
 * Types are `tsc`'s.
 */
export default defineConfig({
  input: {
    index: 'src/index.ts',
    'testing/start-cluster': 'src/testing/start-cluster.ts',
    'cli/segregato': 'src/cli/segregato.ts',
  },
  // Dependencies and Node.js itself.
  external: [/^[a-z@]/],
  platform: 'node',
  transform: { target: 'es2023' },
  output: {
    dir: 'dist',
    format: 'esm',
    sourcemap: true,
    chunkFileNames: 'chunks/[name]-[hash].js',
  },
})
