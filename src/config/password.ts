import { resolve } from 'node:path'
import { INPUT_LIMITS } from './defaults.ts'
import { mistake } from './issues.ts'
import type { NodeSection } from './node-section.ts'
import { lookUpPassfile, passfileNotice, passfilePath } from './passfile.ts'
import type { PasswordTarget } from './passfile.ts'
import { decodeText, readRegularFile } from './read-file.ts'
import { INVALID } from './reading.ts'
import type { Reading } from './reading.ts'
import { Secret } from './secret.ts'
import type { SecretSource } from './secret.ts'
import { valid } from './section.ts'

/** Finds out where a node's password comes from. Files and functions are asked at each new connection. */
export const resolvePassword = (
  node: string,
  target: PasswordTarget,
  section: NodeSection,
  { variables, directory, issues, notices }: Reading,
): Secret => {
  if (section.password !== undefined && section.password_file !== undefined) {
    issues.add(
      'found a password and a password file; leave one of them out',
      section.password_file.place,
    )
  }
  if (section.password?.value === INVALID || section.password_file?.value === INVALID) {
    return new Secret(undefined)
  }
  const password = valid(section.password)
  if (typeof password === 'function') return new Secret(() => askFunction(node, password))
  // As in libpq, an empty password is none.
  if (password) return new Secret(password)
  const file = valid(section.password_file)
  if (file) {
    const path = resolve(directory, file)
    return new Secret(() => readPasswordFile(node, path))
  }
  if (variables['PGPASSWORD']) return new Secret(variables['PGPASSWORD'])
  const path = passfilePath(variables)
  const notice = passfileNotice(path)
  if (notice !== undefined) notices.add(notice)
  return new Secret(() => lookUpPassfile(path, target))
}

const askFunction = async (
  node: string,
  ask: Extract<SecretSource, (...args: never) => unknown>,
): Promise<string | undefined> => {
  const answer: unknown = await ask()
  if (answer === undefined || (typeof answer === 'string' && !answer.includes('\0'))) return answer
  throw mistake('the function given as password did not answer with text', node)
}

/** The first line's end is trimmed, nothing else: spaces may belong to a password. */
const readPasswordFile = (node: string, path: string): string => {
  const content = readRegularFile(path, INPUT_LIMITS.passwordBytes)
  if ('problem' in content) throw mistake(`the password file ${content.problem}`, node)
  const { uid, mode } = content.stats
  if (process.geteuid !== undefined && uid !== process.geteuid() && uid !== 0) {
    throw mistake('the password file belongs to another user, expected this one or root', node)
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw mistake('the password file can be read by others than its owner: chmod 600', node)
  }
  const password = decodeText(content.bytes)?.replace(/\r?\n$/, '')
  if (!password) throw mistake('the password file is empty or not UTF-8 text', node)
  return password
}
