import { controlOf } from './control.ts'
import { firstWord, scanStatements } from './scan.ts'

/**
 * What a read-only transaction of PostgreSQL does not stop, and what would end the read-only
 * state of a connection. Everything else is left to the server, which refuses writes itself.
 * Source: `ClassifyUtilityCommandAsReadOnly` in PostgreSQL's `utility.c` for commands that are
 * accepted though they change something.
 */
const REFUSED_COMMANDS: ReadonlySet<string> = new Set([
  // DO and CALL may commit the transaction they run in and start another one.
  'DO', 'CALL',
  // Changes the server's configuration even on a standby.
  'ALTER',
  // Sends to other sessions when the read is displaced to the primary.
  'NOTIFY',
  // Write, though not the data that queries see.
  'VACUUM', 'ANALYZE', 'ANALYSE', 'REINDEX', 'CLUSTER', 'CHECKPOINT', 'LOAD',
]) // prettier-ignore

/** Words that may start a statement which the rules below look at; all others pass at once. */
const WATCHED: ReadonlySet<string> = new Set([
  ...REFUSED_COMMANDS,
  'BEGIN', 'START', 'SET', 'RESET', 'DISCARD', 'COMMIT', 'ROLLBACK', 'PREPARE', 'COPY',
]) // prettier-ignore

/** In a text of several statements these would let the ones after them run outside the read-only state. */
const REFUSED_AMONG_OTHERS: ReadonlySet<string> = new Set([
  'BEGIN', 'START', 'COMMIT', 'END', 'ROLLBACK', 'ABORT',
]) // prettier-ignore

const READ_ONLY_SETTING = /transaction_read_only/i

/** Off, a backslash escapes in every string: strings would end elsewhere than the scanner thinks. */
const STRINGS_SETTING = /standard_conforming_strings/i

/**
 * Says which operation of a text may not be sent on a connection for reads, or `undefined`.
 *
 * @param values - the statement's parameters: `set_config($1, …)` takes the setting's name there
 */
export const refusedOnReader = (text: string, values?: readonly unknown[]): string | undefined => {
  if (/set_config/i.test(text) && namesGuardedSetting(text, values)) return 'set_config'
  const several = text.includes(';')
  if (!several && !WATCHED.has(firstWord(text))) return undefined
  const statements = scanStatements(text)
  for (const { words } of statements) {
    const first = words[0] ?? ''
    const refused = refusedStatement(words)
    if (refused !== undefined) return refused
    if (statements.length > 1 && REFUSED_AMONG_OTHERS.has(first)) return first
  }
  return undefined
}

const isGuarded = (text: string): boolean =>
  READ_ONLY_SETTING.test(text) || STRINGS_SETTING.test(text)

const namesGuardedSetting = (text: string, values: readonly unknown[] = []): boolean =>
  isGuarded(text) ||
  (Array.isArray(values) && values.some((value) => typeof value === 'string' && isGuarded(value)))

const refusedStatement = (words: readonly string[]): string | undefined => {
  const [first = '', second] = words
  // Only the command's own words: what follows may be data.
  if (REFUSED_COMMANDS.has(first)) return first
  const control = controlOf(words)
  if (control.kind === 'begin' && control.access === 'read write') return 'BEGIN READ WRITE'
  if (control.kind === 'prepare') return 'PREPARE TRANSACTION'
  if (second === 'PREPARED') return `${first} PREPARED`
  if (first === 'SET') return refusedSet(words)
  if (first === 'RESET' && !isHarmlessName(words[1])) return 'RESET'
  if (first === 'DISCARD' && second === 'ALL') return 'DISCARD ALL'
  if (first === 'COPY' && words.includes('PROGRAM')) return 'COPY PROGRAM'
  return undefined
}

/** `SET [SESSION | LOCAL] name …`, `SET TRANSACTION …`, `SET SESSION CHARACTERISTICS AS TRANSACTION …`. */
const refusedSet = (words: readonly string[]): string | undefined => {
  const name = words[words[1] === 'SESSION' || words[1] === 'LOCAL' ? 2 : 1]
  if (name === 'TRANSACTION' || name === 'CHARACTERISTICS') {
    return words.includes('WRITE') ? 'SET TRANSACTION READ WRITE' : undefined
  }
  if (STRINGS_SETTING.test(name ?? ''))
    return /^'?ON'?$/.test(words.at(-1) ?? '') ? undefined : 'SET'
  return isHarmlessName(name) ? undefined : 'SET'
}

/** A plain name of another setting. Quoted ones can spell any name, `U&"…"` even without its letters. */
const isHarmlessName = (word = ''): boolean =>
  /^[A-Z_][A-Z0-9_$]*$/.test(word) &&
  word !== 'ALL' &&
  word !== 'U' &&
  !READ_ONLY_SETTING.test(word)

/** Whether a text starts, ends or changes a transaction: what a query object may not do. */
export const hasControl = (text: string): boolean => {
  const word = firstWord(text)
  if (!text.includes(';') && !REFUSED_AMONG_OTHERS.has(word) && word !== 'PREPARE') return false
  return scanStatements(text).some(({ words }) => controlOf(words).kind !== 'none')
}

/** Commands that end a savepoint, and with it the read-only state that was set inside. */
const ENDS_SAVEPOINT: ReadonlySet<string> = new Set(['RELEASE', 'ROLLBACK'])

/**
 * As {@link refusedOnReader}, for a read inside a transaction: it may not end the transaction either,
 * nor, where the read-only state is that of a savepoint, the savepoint.
 */
export const refusedInScope = (
  text: string,
  values: readonly unknown[] | undefined,
  wholeIsReadOnly: boolean,
): string | undefined => {
  const refused = refusedOnReader(text, values)
  if (refused !== undefined) return refused
  const several = text.includes(';')
  const word = firstWord(text)
  if (!several && !REFUSED_AMONG_OTHERS.has(word) && !ENDS_SAVEPOINT.has(word)) return undefined
  for (const { words } of scanStatements(text)) {
    const first = words[0] ?? ''
    if (controlOf(words).kind !== 'none') return first
    if (!wholeIsReadOnly && ENDS_SAVEPOINT.has(first)) return first
  }
  return undefined
}
