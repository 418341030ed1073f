import { SSL_MODES } from './kinds.ts'
import type { Kind } from './kinds.ts'
import { nearest } from './names.ts'
import { INVALID, expandScalar } from './reading.ts'
import type { Reading } from './reading.ts'
import { describeFound, quote } from './tree.ts'
import type { Tree } from './tree.ts'

/** What a scalar of this kind is expected to be, in words for a message. */
export const describeExpected = (kind: Kind): string => {
  switch (kind.type) {
    case 'text':
      return 'text that is not empty'
    case 'secret':
      return kind.function ? 'text, or in code a function that answers with it' : 'text'
    case 'integer':
      return `a whole number from ${kind.min} to ${kind.max}`
    case 'number':
      return kind.above === undefined
        ? `a number from ${kind.min} to ${kind.max}`
        : `a number above ${kind.above}, up to ${kind.max}`
    case 'boolean':
      return 'true or false'
    case 'choice':
      return `${kind.choices.slice(0, -1).join(', ')} or ${kind.choices.at(-1)}${kind.function ? ', or in code a function' : ''}`
    case 'texts':
      return 'a list of texts'
    case 'parameters':
      return 'a map of texts, numbers, true or false'
    case 'ssl':
      return `true, false, ${SSL_MODES.slice(1).join(', ')} or { ca, cert, key, mode }`
    default:
      return kind satisfies never
  }
}

/** Checks a scalar against its kind, after expressions in it were replaced. */
export const readScalar = (tree: Tree, kind: Kind, secret: boolean, reading: Reading): unknown => {
  const expected = describeExpected(kind)
  if (tree.kind !== 'scalar') {
    reading.issues.add(`found ${describeFound(tree)}, expected ${expected}`, tree.place)
    return INVALID
  }
  const expanded = expandScalar(tree, reading)
  if (expanded === INVALID) return INVALID
  const { names } = expanded
  const value = names.length > 0 ? convertText(expanded.value as string, kind) : expanded.value
  if (fits(value, kind, reading.source)) return value
  const found =
    names.length > 0
      ? `the value of ${names.join(' and ')} (not shown)`
      : isKnownWord(value, kind)
        ? quote(value)
        : describeFound(tree, secret)
  reading.issues.add(`found ${found}, expected ${expected}${hint(value, kind)}`, tree.place)
  return INVALID
}

/** Text from a variable, as the type that its key wants. */
export const convertText = (text: string, kind: Kind): unknown => {
  switch (kind.type) {
    case 'integer':
    case 'number':
      return /^[+-]?\d+(?:\.\d+)?$/.test(text.trim()) ? Number(text) : text
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text
    default:
      return text
  }
}

/** Whether a value is of this kind and in its range. */
export const fits = (value: unknown, kind: Kind, source: Reading['source']): boolean => {
  switch (kind.type) {
    case 'text':
      // The protocol ends texts with NUL, and no other control character belongs into a name.
      return typeof value === 'string' && value !== '' && !hasControlCharacter(value)
    case 'secret':
      if (typeof value === 'function') return kind.function === true && source === 'object'
      return typeof value === 'string' && !value.includes('\0')
    case 'integer':
      return Number.isInteger(value) && inRange(value as number, kind)
    case 'number':
      return Number.isFinite(value) && inRange(value as number, kind)
    case 'boolean':
      return typeof value === 'boolean'
    case 'choice':
      if (typeof value === 'function') return kind.function === true && source === 'object'
      return typeof value === 'string' && kind.choices.includes(value)
    default:
      return false
  }
}

const inRange = (
  value: number,
  { min, above, max }: { min?: number; above?: number; max: number },
): boolean =>
  (min === undefined || value >= min) && (above === undefined || value > above) && value <= max

/** Whether a text has characters that no name has: they would also break a log into false lines. */
export const hasControlCharacter = (text: string): boolean => /\p{Cc}/u.test(text)

/** What people write in place of a choice. These words are shown, as is what is nearly a choice. */
const OTHER_CHOICES: ReadonlySet<string> = new Set([
  'mysql', 'mysql2', 'mariadb', 'trilogy', 'sqlite', 'sqlite3', 'sqlserver', 'mssql', 'oracle', 'random',
]) // prettier-ignore

const isKnownWord = (value: unknown, kind: Kind): value is string =>
  kind.type === 'choice' &&
  typeof value === 'string' &&
  (OTHER_CHOICES.has(value) || nearest(value, kind.choices) !== undefined)

const hint = (value: unknown, kind: Kind): string => {
  if (kind.type === 'text' || kind.type === 'secret') {
    if (typeof value === 'number' || typeof value === 'boolean') return '; put it in quotes'
    return typeof value === 'string' && value !== '' ? '; there is a control character in it' : ''
  }
  if (typeof value !== 'string' || kind.type === 'choice') return ''
  return convertText(value, kind) === value ? '' : '; leave out the quotes'
}
