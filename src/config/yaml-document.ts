import type { CST, Document, ErrorCode, LineCounter } from 'yaml'
import { INPUT_LIMITS } from './defaults.ts'
import type { Issues } from './issues.ts'
import { yaml } from './load-once.ts'
import type { Place } from './tree.ts'

/** A YAML document and the means to say where something in it stands. */
export interface YamlDocument {
  readonly document: Document
  readonly placeOf: (offset: number | undefined, path: readonly string[]) => Place
}

/** Each level of maps and lists takes one place on the parser's stack; a key that is still open takes one more. */
const DEEPEST_STACK = INPUT_LIMITS.depth + 2

/** Further mistakes of syntax mostly follow from the first ones. */
const MOST_ERRORS = 10

/**
 * Parses a text that holds one YAML document. `undefined` after mistakes of syntax, which are
 * noted; the parser's own messages are not used, as they show parts of the text.
 */
export const parseYaml = (text: string, issues: Issues): YamlDocument | undefined => {
  const { Composer, LineCounter } = yaml()
  const lines = new LineCounter()
  const placeOf = placer(lines)
  const tokens = parseTokens(text, lines, issues, placeOf)
  if (tokens === undefined) return undefined
  // Duplicate keys are found later: here each key would be compared with all others of its map.
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false, schema: 'core' })
  const [document, second] = [...composer.compose(tokens, true, text.length)]
  if (document === undefined) return undefined
  if (second !== undefined) {
    issues.add('found a second document, expected one', placeOf(second.range?.[0], []))
  }
  addErrors(document, text, issues, placeOf)
  return issues.count > 0 ? undefined : { document, placeOf }
}

const placer =
  (lines: LineCounter): YamlDocument['placeOf'] =>
  (offset, path) => {
    if (offset === undefined) return { path }
    const { line, col } = lines.linePos(offset)
    return { path, line: Math.max(line, 1), column: Math.max(col, 1) }
  }

/**
 * Composing is recursive, so the depth is bounded while the tokens are read: a text of brackets
 * would use up the stack, where a regular expression of the parser can end the whole process.
 */
const parseTokens = (
  text: string,
  lines: LineCounter,
  issues: Issues,
  placeOf: YamlDocument['placeOf'],
): CST.Token[] | undefined => {
  const { Lexer, Parser } = yaml()
  const parser = new Parser(lines.addNewLine)
  lines.addNewLine(0)
  const tokens: CST.Token[] = []
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme))
    if (parser.stack.length > DEEPEST_STACK) {
      issues.add(
        `found more than ${INPUT_LIMITS.depth} levels of maps and lists`,
        placeOf(parser.offset, []),
      )
      return undefined
    }
  }
  tokens.push(...parser.end())
  const old = tokens.find(({ type, ...token }) => type === 'directive' && isOldVersion(token))
  if (old !== undefined) {
    issues.add('found another version of YAML, expected YAML 1.2', placeOf(old.offset, []))
    return undefined
  }
  return tokens
}

const isOldVersion = (token: object): boolean =>
  'source' in token &&
  typeof token.source === 'string' &&
  /^%YAML\s+(?!1\.2\s*$)/.test(token.source)

const addErrors = (
  { errors, warnings }: Document,
  text: string,
  issues: Issues,
  placeOf: YamlDocument['placeOf'],
): void => {
  const lines = new Set<number | undefined>()
  for (const { code, pos } of [...errors, ...warnings]) {
    const place = placeOf(pos[0], [])
    if (lines.has(place.line) || lines.size >= MOST_ERRORS) continue
    lines.add(place.line)
    const expression = findExpression(text, pos[0])
    if (expression === undefined) issues.add(MESSAGES[code], place)
    else issues.add(UNQUOTED, placeOf(expression, []))
  }
}

const UNQUOTED =
  'not YAML: an expression inside { }, inside [ ] or with a colon in it must be put in quotes, such as "${DB_PASSWORD}"'

/** Where the line of a mistake has an expression: then that one is the likely cause. */
const findExpression = (text: string, offset: number): number | undefined => {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const end = text.indexOf('\n', offset)
  const at = text.slice(start, end === -1 ? text.length : end).search(/\$\{|<%/)
  return at === -1 ? undefined : start + at
}

const MESSAGES: Readonly<Record<ErrorCode, string>> = {
  ALIAS_PROPS: 'not YAML: an alias has neither an anchor nor a tag',
  BAD_ALIAS: 'not YAML: an alias must be * and a name',
  BAD_COLLECTION_TYPE: 'not YAML: a tag does not fit its map or list',
  BAD_DIRECTIVE: 'not YAML: a directive that is not known',
  BAD_DQ_ESCAPE: 'not YAML: a backslash in double quotes that starts no known sequence',
  BAD_INDENT: 'not YAML: the indentation does not fit, or a bracket is missing',
  BAD_PROP_ORDER: 'not YAML: an anchor or a tag in the wrong place',
  BAD_SCALAR_START: 'not YAML: a text that starts with this character must be put in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'not YAML: a text with a colon and a space in it must be put in quotes',
  BLOCK_IN_FLOW: 'not YAML: a block inside { } or [ ]',
  DUPLICATE_KEY: 'not YAML: a key that is there already',
  IMPOSSIBLE: 'not YAML',
  KEY_OVER_1024_CHARS: 'not YAML: a key of more than 1024 characters',
  MISSING_CHAR: 'not YAML: a quote, a comma, a colon or a bracket is missing',
  MULTILINE_IMPLICIT_KEY: 'not YAML: a key of several lines; a colon may be missing',
  MULTIPLE_ANCHORS: 'not YAML: more than one anchor',
  MULTIPLE_DOCS: 'found a second document, expected one',
  MULTIPLE_TAGS: 'not YAML: more than one tag',
  NON_STRING_KEY: 'not YAML: expected text as key',
  RESOURCE_EXHAUSTION: `found more than ${INPUT_LIMITS.depth} levels of maps and lists`,
  TAB_AS_INDENT: 'not YAML: a tab as indentation; use spaces',
  TAG_RESOLVE_FAILED: 'found a tag that is not known; leave it out',
  UNEXPECTED_TOKEN:
    'not YAML: something that cannot stand here; a quote or a bracket may be missing',
}
