import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { defineConfig } from 'rolldown'
import type { Plugin } from 'rolldown'

/** Puts `load-once.cjs` in place of `load-once.ts`, as a file of its own; the file itself says why. */
const loadOnce: Plugin = {
  name: 'load-once',
  resolveId: (source) =>
    source.endsWith('/load-once.ts')
      ? // The place relative to the entries, as the build lays it out.
        { id: resolve('src/load-once.cjs'), external: 'relative' }
      : undefined,
  generateBundle() {
    const source = readFileSync('src/config/load-once.cjs', 'utf8')
    this.emitFile({ type: 'asset', fileName: 'load-once.cjs', source })
  },
}

/**
 * Writes what `require` gives. It is the same module, once in a process; but tools that see a file of
 * CommonJS take the declarations of CommonJS beside it, which TypeScript wants under `module: node16`.
 */
const commonJs: Plugin = {
  name: 'common-js',
  generateBundle(_options, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type !== 'chunk' || !file.isEntry || file.name.startsWith('cli/')) continue
      const source = `'use strict'\nmodule.exports = require('./${basename(file.fileName)}')\n`
      this.emitFile({ type: 'asset', fileName: `${file.name}.cjs`, source })
    }
  },
}

const WITHOUT_NODE = `const refuse = () => {
  throw Object.assign(
    new Error(
      'segregato needs Node.js: it was imported into a bundle for a browser, a worker or an edge run-time. ' +
        'Import it in code that runs on Node.js only (in Next.js: export const runtime = "nodejs"), or bundle for Node.js',
    ),
    { name: 'UnsupportedRuntimeError', code: 'SEGREGATO_UNSUPPORTED_RUNTIME' },
  )
}
`

/** Writes the module that run-times without Node.js get: the same names, and an error as soon as it is imported. */
const withoutNode: Plugin = {
  name: 'without-node',
  generateBundle(_options, bundle) {
    const entry = Object.values(bundle).find(
      (file) => file.type === 'chunk' && file.isEntry && file.name === 'index',
    )
    const names = entry?.type === 'chunk' ? entry.exports : []
    const source = [WITHOUT_NODE, ...names.map((name) => `export const ${name} = refuse()\n`)]
    this.emitFile({ type: 'asset', fileName: 'without-node.js', source: source.join('') })
  },
}

/**
 * Puts the modules of one entry into one file: an application that imports the library reads a few
 * files instead of a hundred, which is most of what an import costs (`npm run bench:import`).
 * Types are `tsc`'s.
 */
export default defineConfig({
  input: {
    index: 'src/index.ts',
    'testing/start-cluster': 'src/testing/start-cluster.ts',
    'web/web': 'src/web/web.ts',
    'cli/segregato': 'src/cli/segregato.ts',
  },
  // Dependencies and Node.js itself.
  external: [/^[a-z@]/],
  platform: 'node',
  plugins: [loadOnce, commonJs, withoutNode],
  transform: { target: 'es2023' },
  output: {
    dir: 'dist',
    format: 'esm',
    sourcemap: true,
    // To compile the text is most of what is left of an import. Names stay: pools and errors are told by theirs.
    minify: { compress: true, mangle: { keepNames: true }, codegen: { removeWhitespace: true } },
    // `src` is published beside it.
    sourcemapExcludeSources: true,
    chunkFileNames: 'chunks/[name]-[hash].js',
    // What the entries share is one file, not one for each set of entries that share something.
    codeSplitting: { groups: [{ name: 'core', test: /\/src\/(?!cli|testing|web)/ }] },
  },
})
