import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ts from 'typescript'
import { build } from '../../support/built.ts'

/** The example as `tsc -p examples` lays it out, in a package of its own. */
export interface BuiltExample {
  /** Where a compiled file of `examples/posts` lies, such as `server.js`. */
  path(file: string): string
  remove(): void
}

export const SOURCES = resolve(import.meta.dirname, '../../../examples/posts')

/** Compiles the library and the example, which imports that library by its name. */
export const buildExample = (): BuiltExample => {
  const library = build()
  const compiled = join(library.directory, 'examples/dist/posts')
  const sources = join(library.directory, 'examples/posts')
  for (const path of [compiled, sources]) mkdirSync(path, { recursive: true })
  for (const file of readdirSync(SOURCES)) {
    if (file.endsWith('.ts')) {
      writeFileSync(join(compiled, file.replace(/\.ts$/, '.js')), compile(file))
    } else copyFileSync(join(SOURCES, file), join(sources, file))
  }
  return { path: (file) => join(compiled, file), remove: () => library.remove() }
}

const compile = (file: string): string =>
  ts.transpileModule(readFileSync(join(SOURCES, file), 'utf8'), {
    fileName: file.replace(/\.ts$/, '.mts'),
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  }).outputText
