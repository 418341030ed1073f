import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ts from 'typescript'
import { build } from '../../support/built.ts'

/** The examples as `tsc -p examples` lays them out, in a package of their own. */
export interface BuiltExample {
  /** Where a compiled file lies, such as `server.js` of `examples/posts`. */
  path(file: string, example?: 'posts' | 'jobs'): string
  remove(): void
}

export const SOURCES = resolve(import.meta.dirname, '../../../examples/posts')

/** Compiles the library and the examples, which import that library by its name. */
export const buildExample = (): BuiltExample => {
  const library = build()
  for (const example of ['posts', 'jobs']) {
    const from = resolve(SOURCES, '..', example)
    const compiled = join(library.directory, 'examples/dist', example)
    const sources = join(library.directory, 'examples', example)
    for (const path of [compiled, sources]) mkdirSync(path, { recursive: true })
    for (const file of readdirSync(from)) {
      if (file.endsWith('.ts')) {
        writeFileSync(join(compiled, file.replace(/\.ts$/, '.js')), compile(join(from, file)))
      } else copyFileSync(join(from, file), join(sources, file))
    }
  }
  return {
    path: (file, example = 'posts') => join(library.directory, 'examples/dist', example, file),
    remove: () => library.remove(),
  }
}

const compile = (file: string): string =>
  ts.transpileModule(readFileSync(file, 'utf8'), {
    fileName: file.replace(/\.ts$/, '.mts'),
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  }).outputText
