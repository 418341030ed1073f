/** The project's documents, taken apart into what can be checked. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'

export const ROOT = resolve(import.meta.dirname, '../..')

/** A fenced block. */
interface Block {
  readonly language: string
  /** The words after the language. */
  readonly info: string
  readonly text: string
  /** The line of its first character, counted from 1. */
  readonly line: number
}

export interface Document {
  /** Relative to the project. */
  readonly path: string
  readonly text: string
  readonly blocks: readonly Block[]
  /** The text without its blocks. */
  readonly prose: string
}

const FENCE = /^( *)```([\w-]*) *(.*)$/

const read = (path: string): Document => {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const blocks: Block[] = []
  const prose: string[] = []
  let open: { language: string; info: string; line: number; lines: string[] } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const fence = FENCE.exec(line)
    if (open === undefined && fence !== null) {
      open = { language: fence[2]!, info: fence[3]!, line: index + 2, lines: [] }
    } else if (open !== undefined && line.trim() === '```') {
      blocks.push({ ...open, text: open.lines.join('\n') })
      open = undefined
    } else if (open === undefined) prose.push(line)
    else open.lines.push(line)
  }
  if (open !== undefined) throw new Error(`${path}:${open.line}: the block does not end`)
  return { path, text, blocks, prose: prose.join('\n') }
}

/** All documents at the top level and under `docs`. */
export const readDocuments = (): Document[] => {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  return [...readdirSync(ROOT), ...docs.map((path) => join('docs', path))]
    .filter((path) => path.endsWith('.md'))
    .map(read)
}

/** The anchors that a document's headings have on GitHub. */
const anchorsOf = ({ prose }: Document): Set<string> =>
  new Set(
    [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\- _]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )

/** The links to files and headings that lead nowhere. */
export const brokenLinks = (documents: readonly Document[]): string[] =>
  documents.flatMap((document) =>
    [...document.prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link!)
      .filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(link, document, documents))
      .map((link) => `${document.path}: ${link}`),
  )

const leadsSomewhere = (link: string, from: Document, documents: readonly Document[]): boolean => {
  const [file = '', anchor] = link.split('#')
  const path = file === '' ? from.path : relative(ROOT, resolve(ROOT, dirname(from.path), file))
  if (!existsSync(join(ROOT, path))) return false
  const target = documents.find((document) => document.path === path)
  return anchor === undefined || (target !== undefined && anchorsOf(target).has(anchor))
}

/** A TypeScript block as a module: the names it uses of earlier blocks are imported. */
interface Module {
  readonly path: string
  readonly text: string
  /** For messages: where the block stands, and how many lines were put before it. */
  readonly origin: { readonly document: string; readonly line: number; readonly added: number }
}

/** A block whose first line is `// name.ts` is a file that later blocks of its document can use. */
const FILE_NAME = /^\/\/ ([\w-]+)\.ts\n/
const EXPORTED = /^export (?:const|class|function) (\w+)/gm

const modulesOf = (document: Document): Module[] => {
  const known = new Map<string, string>()
  const directory = join(ROOT, 'test/.docs', document.path.replace(/\W/g, '_'))
  return document.blocks
    .filter(({ language, info }) => /^(?:ts|typescript)$/.test(language) && info !== 'no-check')
    .map(({ text, line }) => {
      const name = FILE_NAME.exec(`${text}\n`)?.[1] ?? `line-${line}`
      const imports = [...known]
        .filter(([symbol]) => uses(text, symbol) && !declares(text, symbol))
        .map(([symbol, from]) => `import { ${symbol} } from './${from}.ts'; `)
      for (const [, symbol] of text.matchAll(EXPORTED)) known.set(symbol!, name)
      return {
        path: join(directory, `${name}.ts`),
        text: `${imports.join('')}export {}\n${text}\n`,
        origin: { document: document.path, line, added: 1 },
      }
    })
}

const uses = (text: string, symbol: string): boolean => new RegExp(`\\b${symbol}\\b`).test(text)

const declares = (text: string, symbol: string): boolean =>
  new RegExp(`\\b(?:const|let|class|function|interface|type) ${symbol}\\b`).test(text) ||
  new RegExp(`import [^;]*\\b${symbol}\\b[^;]* from`).test(text)

/** Compiles every TypeScript block, all in one program and in memory; the mistakes, with their place. */
export const compileBlocks = (
  documents: readonly Document[],
): { readonly compiled: number; readonly mistakes: readonly string[] } => {
  const modules = new Map(documents.flatMap(modulesOf).map((module) => [module.path, module]))
  const config = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path))
  const { options } = ts.parseJsonConfigFileContent(
    { ...(config.config as object), include: [], files: [] },
    ts.sys,
    ROOT,
  )
  const checked = { ...options, noUnusedLocals: false, noUnusedParameters: false, noEmit: true }
  const host = ts.createCompilerHost(checked)
  const real = { fileExists: host.fileExists.bind(host), readFile: host.readFile.bind(host) }
  host.fileExists = (path) => modules.has(path) || real.fileExists(path)
  host.readFile = (path) => modules.get(path)?.text ?? real.readFile(path)
  // So that a module's folder, which is on no disk, is looked into.
  delete host.directoryExists
  const program = ts.createProgram([...modules.keys()], checked, host)
  const mistakes = [...modules.values()].flatMap((module) => {
    const source = program.getSourceFile(module.path)
    if (source === undefined) return [`${module.path} was not compiled`]
    return [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ].map((diagnostic) => describe(module, source, diagnostic))
  })
  return { compiled: modules.size, mistakes }
}

const describe = (
  { origin }: Module,
  source: ts.SourceFile,
  { start = 0, messageText }: ts.Diagnostic,
): string => {
  const { line } = source.getLineAndCharacterOfPosition(start)
  const message = ts.flattenDiagnosticMessageText(messageText, '\n')
  return `${origin.document}:${origin.line + line - origin.added}: ${message}`
}

/** The rows of the tables whose first cell is code: the first cell's text, then the other cells. */
export const codeRows = (prose: string): [name: string, ...cells: string[]][] =>
  prose
    .split('\n')
    .filter((line) => /^\| `[^`]+` \|/.test(line))
    .map((line) => {
      const [first = '', ...cells] = line
        .replaceAll('\\|', '\u0000')
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.replaceAll('\u0000', '|').trim())
      return [first.slice(1, -1), ...cells]
    })

/** The part of a document under one heading, deeper headings included. */
export const sectionOf = ({ text, path }: Document, heading: string): string => {
  const start = new RegExp(`^(#+) ${heading}$`, 'm').exec(text)
  if (start === null) throw new Error(`${path} has no heading '${heading}'`)
  const body = text.slice(start.index + start[0].length)
  const end = new RegExp(`^#{1,${start[1]!.length}} `, 'm').exec(body)
  return end === null ? body : body.slice(0, end.index)
}
