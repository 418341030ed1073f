import { homedir } from 'node:os'
import { join } from 'node:path'
import { INPUT_LIMITS } from './defaults.ts'
import { readRegularFile } from './read-file.ts'
import type { Variables } from './variables.ts'

/** Whom a password is for. */
export interface PasswordTarget {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly username: string
}

/** Where libpq looks for passwords: `PGPASSFILE`, else `.pgpass` in the home directory. */
export const passfilePath = (variables: Variables): string => {
  if (variables['PGPASSFILE']) return variables['PGPASSFILE']
  return process.platform === 'win32'
    ? join(variables['APPDATA'] ?? homedir(), 'postgresql', 'pgpass.conf')
    : join(variables['HOME'] || homedir(), '.pgpass')
}

/**
 * The password of the first line that fits. As in libpq, a file that is missing, is not a regular
 * file or can be read by others counts as absent.
 */
export const lookUpPassfile = (path: string, target: PasswordTarget): string | undefined => {
  const content = readRegularFile(path, INPUT_LIMITS.passfileBytes)
  if ('problem' in content || isReadByOthers(content.stats.mode)) return undefined
  for (const line of content.bytes.toString('utf8').split('\n')) {
    const password = passwordOf(line.replace(/\r+$/, ''), target)
    if (password !== undefined) return password
  }
  return undefined
}

/** Why a password file that is there would be ignored; `undefined` when it would not. */
export const passfileNotice = (path: string): string | undefined => {
  const content = readRegularFile(path, INPUT_LIMITS.passfileBytes)
  if ('problem' in content) return undefined
  return isReadByOthers(content.stats.mode)
    ? 'The password file of libpq (PGPASSFILE, ~/.pgpass) is ignored, as others than its owner can read it: chmod 600'
    : undefined
}

const isReadByOthers = (mode: number): boolean =>
  process.platform !== 'win32' && (mode & 0o077) !== 0

const passwordOf = (line: string, target: PasswordTarget): string | undefined => {
  if (line.startsWith('#')) return undefined
  // A socket in libpq's own directory goes by the name of localhost.
  const hosts = ['/tmp', '/var/run/postgresql', '/run/postgresql'].includes(target.host)
    ? [target.host, 'localhost']
    : [target.host]
  for (const host of hosts) {
    const wanted = [host, String(target.port), target.database, target.username]
    const fields = splitFields(line)
    const password = fields[4]
    if (
      password !== undefined &&
      wanted.every((value, index) => fieldFits(fields[index]!, value))
    ) {
      return password.text
    }
  }
  return undefined
}

interface Field {
  readonly text: string
  /** `*` stands for anything, `\*` for itself. */
  readonly any: boolean
}

const fieldFits = ({ text, any }: Field, value: string): boolean => any || text === value

/** Fields end at a colon; a backslash takes the meaning from the character after it. */
const splitFields = (line: string): readonly Field[] => {
  const fields: Field[] = []
  let text = ''
  let raw = ''
  for (let index = 0; index < line.length; index++) {
    if (line[index] === ':') {
      fields.push({ text, any: raw === '*' })
      text = raw = ''
      continue
    }
    const escaped = line[index] === '\\' && index + 1 < line.length
    raw += line.slice(index, index + (escaped ? 2 : 1))
    if (escaped) index += 1
    text += line[index]
  }
  return [...fields, { text, any: raw === '*' }]
}
