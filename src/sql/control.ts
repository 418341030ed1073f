import { scanStatements } from './scan.ts'

/** What a statement does to the transaction it is sent in. */
export type Control =
  | { readonly kind: 'begin'; readonly access: 'read only' | 'read write' | undefined }
  | { readonly kind: 'commit' | 'rollback'; readonly chain: boolean }
  | { readonly kind: 'prepare' }
  | { readonly kind: 'none' }

const NONE: Control = { kind: 'none' }

/**
 * Classifies one statement by its first words. `ROLLBACK TO`, `SAVEPOINT` and `RELEASE` do not
 * start or end a transaction and are `none`.
 */
export const controlOf = (words: readonly string[]): Control => {
  const [first, second, third] = words
  switch (first) {
    case 'BEGIN':
      return { kind: 'begin', access: accessOf(words) }
    case 'START':
      return second === 'TRANSACTION' ? { kind: 'begin', access: accessOf(words) } : NONE
    case 'COMMIT':
    case 'END':
      return second === 'PREPARED' ? NONE : { kind: 'commit', chain: chains(words) }
    case 'ROLLBACK':
    case 'ABORT':
      if (second === 'PREPARED' || second === 'TO') return NONE
      if ((second === 'WORK' || second === 'TRANSACTION') && third === 'TO') return NONE
      return { kind: 'rollback', chain: chains(words) }
    case 'PREPARE':
      return second === 'TRANSACTION' ? { kind: 'prepare' } : NONE
    default:
      return NONE
  }
}

/** `AND CHAIN`, not `AND NO CHAIN`. */
const chains = (words: readonly string[]): boolean =>
  words.some((word, index) => word === 'AND' && words[index + 1] === 'CHAIN')

/** The last access mode that is named wins, as in PostgreSQL's grammar. */
const accessOf = (words: readonly string[]): 'read only' | 'read write' | undefined => {
  for (let index = words.length - 1; index > 0; index--) {
    if (words[index - 1] !== 'READ') continue
    if (words[index] === 'ONLY') return 'read only'
    if (words[index] === 'WRITE') return 'read write'
  }
  return undefined
}

/** The controls of a text in order; empty for nearly every text. */
export const controlsOf = (text: string): Control[] =>
  scanStatements(text)
    .map(({ words }) => controlOf(words))
    .filter(({ kind }) => kind !== 'none')

/**
 * Replaces the statements of a text that control transactions.
 *
 * @param replace - gets each of them with its own text and returns the new text
 */
export const rewriteControls = (
  text: string,
  replace: (control: Control, original: string) => string,
): string => {
  let result = ''
  let copied = 0
  for (const { start, end, words } of scanStatements(text)) {
    const control = controlOf(words)
    if (control.kind === 'none') continue
    result += text.slice(copied, start) + replace(control, text.slice(start, end))
    copied = end
  }
  return result + text.slice(copied)
}
