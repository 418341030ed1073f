/** The values of environment variables. */
export type Variables = Readonly<Record<string, string | undefined>>

/** A text after its expressions were replaced, or what is wrong with them. */
export type Expansion =
  { readonly text: string; readonly names: readonly string[] } | { readonly problem: string }

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
/** `${NAME}` and `${NAME:-default}`. */
const SHELL = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?$/
/** `ENV['NAME']`, `ENV.fetch('NAME')`, `ENV.fetch('NAME', 'default')` and `ENV.fetch('NAME') { 5 }`. */
const RUBY =
  /^ENV(?:\[(?<index>'[^'"]*'|"[^'"]*")\]|\.fetch\((?<fetch>'[^'"]*'|"[^'"]*")(?:, *(?<value>'[^']*'|"[^"]*"|-?\d+(?:\.\d+)?|true|false))?\)(?: *\{ *(?<block>'[^']*'|"[^"]*"|-?\d+(?:\.\d+)?|true|false) *\})?)$/

const ALLOWED =
  "write ${NAME}, ${NAME:-default}, <%= ENV['NAME'] %> or <%= ENV.fetch('NAME') %> with , 'default' or { 5 }"

/**
 * Replaces the expressions of a text by the values of environment variables. What a variable holds
 * is taken as it is: it is not expanded again. No message shows a value or a part of the text.
 */
export const expandVariables = (text: string, variables: Variables): Expansion => {
  const names: string[] = []
  let result = ''
  let position = 0
  for (;;) {
    const start = nextExpression(text, position)
    if (start === -1) return { text: result + text.slice(position), names }
    result += text.slice(position, start)
    const shell = text.startsWith('${', start)
    if (!shell && !text.startsWith('<%=', start)) {
      return { problem: `an expression that is not understood; ${ALLOWED}` }
    }
    const end = text.indexOf(shell ? '}' : '%>', start)
    if (end === -1) return { problem: `an expression that does not end; ${ALLOWED}` }
    const expression = text.slice(start + (shell ? 2 : 3), end)
    const reference = shell ? shellReference(expression) : rubyReference(expression.trim())
    if (reference === undefined)
      return { problem: `an expression that is not understood; ${ALLOWED}` }
    const { name, fallback, emptyCounts } = reference
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined
    const missing = value === undefined || (value === '' && !emptyCounts)
    if (missing && fallback === undefined) {
      return { problem: `the variable ${name}, which is not set; set it or give a default` }
    }
    names.push(name)
    result += missing ? fallback! : value
    position = end + (shell ? 1 : 2)
  }
}

/** Whether a text holds an expression, well-formed or not. */
export const hasExpression = (text: string): boolean => nextExpression(text, 0) !== -1

const nextExpression = (text: string, from: number): number => {
  const shell = text.indexOf('${', from)
  const ruby = text.indexOf('<%', from)
  return shell === -1 ? ruby : ruby === -1 ? shell : Math.min(shell, ruby)
}

interface Reference {
  readonly name: string
  readonly fallback: string | undefined
  /** Whether an empty variable is a value: in Ruby and in `${NAME}` it is, before `:-` it is not. */
  readonly emptyCounts: boolean
}

const shellReference = (expression: string): Reference | undefined => {
  const match = SHELL.exec(expression)
  if (match === null) return undefined
  return { name: match[1]!, fallback: match[2], emptyCounts: match[2] === undefined }
}

const rubyReference = (expression: string): Reference | undefined => {
  const groups = RUBY.exec(expression)?.groups
  const quoted = groups?.['index'] ?? groups?.['fetch']
  if (groups === undefined || quoted === undefined) return undefined
  const { value, block } = groups
  const name = quoted.slice(1, -1)
  if (!NAME.test(name) || (value !== undefined && block !== undefined)) return undefined
  const fallback = value ?? block
  return { name, fallback: fallback?.replace(/^(['"])(.*)\1$/s, '$2'), emptyCounts: true }
}
