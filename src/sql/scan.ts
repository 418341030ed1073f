/**
 * A linear scanner of SQL text: where each statement starts and ends and which words it begins
 * with. It understands quoting, dollar quotes and nested comments (PostgreSQL documentation, 4.1
 * Lexical Structure) and nothing else of the grammar.
 */

/**
 * One statement of a text: the span between two semicolons, and its words in upper case. All of them
 * where a word at the end can change what the statement does to a transaction, else the first two.
 */
export interface StatementSpan {
  readonly start: number
  readonly end: number
  readonly words: readonly string[]
}

/** Statements whose words are all kept. */
const KEPT_WHOLE: ReadonlySet<string> = new Set([
  'BEGIN', 'START', 'COMMIT', 'END', 'ROLLBACK', 'ABORT', 'PREPARE', 'SET', 'RESET', 'DISCARD', 'COPY',
]) // prettier-ignore
const WORDS_KEPT = 2

/** Splits a text into its statements; empty ones are left out. */
export const scanStatements = (text: string): StatementSpan[] => {
  const spans: StatementSpan[] = []
  let words: string[] = []
  let start = -1
  let position = 0
  const finish = (end: number): void => {
    if (start !== -1) spans.push({ start, end, words })
    words = []
    start = -1
  }
  while (position < text.length) {
    const code = text.charCodeAt(position)
    const after = skipBlank(text, position, code)
    if (after > position) {
      position = after
      continue
    }
    if (code === SEMICOLON) {
      finish(position)
      position++
      continue
    }
    if (start === -1) start = position
    const end = tokenEnd(text, position, code)
    if (words.length < WORDS_KEPT || KEPT_WHOLE.has(words[0] ?? '')) {
      words.push(text.slice(position, end).toUpperCase())
    }
    position = end
  }
  finish(text.length)
  return spans
}

/** The first word of a text in upper case, without looking at the rest; `''` when there is none. */
export const firstWord = (text: string): string => {
  let position = 0
  while (position < text.length) {
    const after = skipBlank(text, position, text.charCodeAt(position))
    if (after === position) break
    position = after
  }
  if (position >= text.length || !isWordStart(text.charCodeAt(position)))
    return text.charAt(position)
  return text.slice(position, wordEnd(text, position)).toUpperCase()
}

const SEMICOLON = 59
const QUOTE = 39
const DOUBLE_QUOTE = 34
const DOLLAR = 36
const BACKSLASH = 92

const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13)
const isDigit = (code: number): boolean => code >= 48 && code <= 57
const isWordStart = (code: number): boolean =>
  (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 || code > 127

/** The position after white space or a comment that starts here; the same position otherwise. */
const skipBlank = (text: string, position: number, code: number): number => {
  if (isSpace(code)) return position + 1
  if (code === 45 && text.charCodeAt(position + 1) === 45) return lineEnd(text, position)
  if (code === 47 && text.charCodeAt(position + 1) === 42) return commentEnd(text, position)
  return position
}

/** PostgreSQL ends a line at a carriage return, too: what follows one in a comment is SQL. */
const lineEnd = (text: string, from: number): number => {
  let position = from
  while (position < text.length) {
    const code = text.charCodeAt(position++)
    if (code === 10 || code === 13) break
  }
  return position
}

const commentEnd = (text: string, from: number): number => {
  let depth = 1
  let position = from + 2
  while (position < text.length && depth > 0) {
    const code = text.charCodeAt(position)
    const next = text.charCodeAt(position + 1)
    if (code === 47 && next === 42) {
      depth++
      position += 2
    } else if (code === 42 && next === 47) {
      depth--
      position += 2
    } else position++
  }
  return position
}

const tokenEnd = (text: string, position: number, code: number): number => {
  if (code === QUOTE) return quotedEnd(text, position, QUOTE, false)
  if (code === DOUBLE_QUOTE) return quotedEnd(text, position, DOUBLE_QUOTE, false)
  if (code === DOLLAR) return dollarQuotedEnd(text, position)
  if (isDigit(code)) return numberEnd(text, position)
  if (!isWordStart(code)) return position + 1
  const end = wordEnd(text, position)
  // E'…' is the one kind of string in which a backslash escapes the quote.
  const escapes = end === position + 1 && (code === 69 || code === 101)
  return escapes && text.charCodeAt(end) === QUOTE ? quotedEnd(text, end, QUOTE, true) : end
}

const wordEnd = (text: string, from: number): number => {
  let position = from + 1
  while (position < text.length) {
    const code = text.charCodeAt(position)
    if (!isWordStart(code) && !isDigit(code) && code !== DOLLAR) break
    position++
  }
  return position
}

/** Unlike a name, a number does not go on with a dollar sign: that one may begin a quote. */
const numberEnd = (text: string, from: number): number => {
  let position = from + 1
  while (isDigit(text.charCodeAt(position)) || isWordStart(text.charCodeAt(position))) position++
  return position
}

const quotedEnd = (text: string, from: number, quote: number, escapes: boolean): number => {
  let position = from + 1
  while (position < text.length) {
    const code = text.charCodeAt(position)
    if (escapes && code === BACKSLASH) position += 2
    else if (code !== quote) position++
    else if (text.charCodeAt(position + 1) === quote) position += 2
    else return position + 1
  }
  return text.length
}

const dollarQuotedEnd = (text: string, from: number): number => {
  let position = from + 1
  const first = text.charCodeAt(position)
  if (isWordStart(first)) {
    while (isWordStart(text.charCodeAt(position)) || isDigit(text.charCodeAt(position))) position++
  }
  // `$1` is a parameter, not the start of a quote.
  if (text.charCodeAt(position) !== DOLLAR) return from + 1
  const tag = text.slice(from, position + 1)
  const end = text.indexOf(tag, position + 1)
  return end === -1 ? text.length : end + tag.length
}
