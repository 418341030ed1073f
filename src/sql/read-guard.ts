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
  'DO',
  'CALL',
  // Changes the server's configuration even on a standby.
  'ALTER',
  // Sends to other sessions when the read is displaced to the primary.
  'NOTIFY',
])

/** Words that may start a statement which the rules below look at; all others pass at once. */
const WATCHED: ReadonlySet<string> = new Set([
  ...REFUSED_COMMANDS,
  'BEGIN',
  'START',
  'SET',
  'RESET',
  'DISCARD',
  'COMMIT',
  'ROLLBACK',
  'PREPARE',
])

const READ_ONLY_SETTING = /transaction_read_only/i

/**
 * Says which operation of a text may not be sent on a connection for reads, or `undefined`.
 *
 * @param values - the statement's parameters: `set_config($1, …)` takes the setting's name there
 */
export const refusedOnReader = (text: string, values?: readonly unknown[]): string | undefined => {
  if (/set_config/i.test(text) && namesReadOnlySetting(text, values)) return 'set_config'
  if (!text.includes(';') && !WATCHED.has(firstWord(text))) return undefined
  for (const { words } of scanStatements(text)) {
    const refused = refusedStatement(words)
    if (refused !== undefined) return refused
  }
  return undefined
}

const namesReadOnlySetting = (text: string, values: readonly unknown[] = []): boolean =>
  READ_ONLY_SETTING.test(text) ||
  values.some((value) => typeof value === 'string' && READ_ONLY_SETTING.test(value))

const refusedStatement = (words: readonly string[]): string | undefined => {
  const [first = '', second, third] = words
  // Only the command's own words: what follows may be data.
  if (REFUSED_COMMANDS.has(first)) return first
  const control = controlOf(words)
  if (control.kind === 'begin' && control.access === 'read write') return 'BEGIN READ WRITE'
  if (control.kind === 'prepare') return 'PREPARE TRANSACTION'
  if (second === 'PREPARED') return `${first} PREPARED`
  if (first === 'SET' && setsAccess(words)) return 'SET TRANSACTION READ WRITE'
  if (first === 'RESET' && (second === 'ALL' || isReadOnlySetting(second))) return `RESET ${second}`
  if (first === 'DISCARD' && second === 'ALL') return 'DISCARD ALL'
  // SET SESSION / SET LOCAL name; SET name.
  if (first === 'SET' && (isReadOnlySetting(second) || isReadOnlySetting(third)))
    return 'SET transaction_read_only'
  return undefined
}

const setsAccess = (words: readonly string[]): boolean =>
  words.includes('TRANSACTION') &&
  words.some((word, index) => word === 'READ' && words[index + 1] === 'WRITE')

const isReadOnlySetting = (word: string | undefined): boolean =>
  word !== undefined && READ_ONLY_SETTING.test(word)

/** Commands that end a savepoint, and with it the read-only state that was set inside. */
const ENDS_SAVEPOINT: ReadonlySet<string> = new Set([
  'RELEASE',
  'ROLLBACK',
  'ABORT',
  'COMMIT',
  'END',
])

/** As {@link refusedOnReader}, for a text that runs under a read-only savepoint of a read-write transaction. */
export const refusedInSavepoint = (
  text: string,
  values?: readonly unknown[],
): string | undefined => {
  const refused = refusedOnReader(text, values)
  if (refused !== undefined) return refused
  if (!text.includes(';') && !ENDS_SAVEPOINT.has(firstWord(text))) return undefined
  return scanStatements(text).find(({ words }) => ENDS_SAVEPOINT.has(words[0] ?? ''))?.words[0]
}
