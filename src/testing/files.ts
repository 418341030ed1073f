import {
  chownSync,
  constants,
  copyFileSync,
  mkdirSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

/** The user as whom the servers run, where that is not the user of this process. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

export const own = (path: string, account: Account | undefined): void => {
  if (account !== undefined) chownSync(path, account.uid, account.gid)
}

/** Makes a directory for the servers' user alone, as PostgreSQL demands. */
export const makeDirectory = (path: string, account: Account | undefined): void => {
  mkdirSync(path, { mode: 0o700 })
  own(path, account)
}

export const writeOwned = (path: string, text: string, account: Account | undefined): void => {
  writeFileSync(path, text, { mode: 0o600 })
  own(path, account)
}

/** Which entries of the source's top directory are left out: whole, or only what is in them. */
export interface Omitted {
  readonly entries?: readonly string[]
  readonly contents?: readonly string[]
}

/**
 * Copies a directory of data. Files that vanish while it runs are left out: a running server removes
 * temporary ones, and its log of changes repairs what that means.
 */
export const copyData = (
  from: string,
  to: string,
  account: Account | undefined,
  omitted: Omitted = {},
): void => {
  makeDirectory(to, account)
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const { name } = entry
    if (omitted.entries?.includes(name)) continue
    const [source, target] = [join(from, name), join(to, name)]
    if (omitted.contents?.includes(name)) makeDirectory(target, account)
    else if (entry.isDirectory()) copyData(source, target, account)
    else if (entry.isFile()) copyOne(source, target, account)
  }
}

const copyOne = (source: string, target: string, account: Account | undefined): void => {
  try {
    copyFileSync(source, target, constants.COPYFILE_FICLONE)
    own(target, account)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** Whether a user without special rights can reach what is at this path. */
export const isOpenToAll = (path: string): boolean => {
  const parts = path.split('/').filter(Boolean)
  return parts.every((_, index) => {
    const { mode } = statSync(`/${parts.slice(0, index + 1).join('/')}`)
    return (mode & 0o001) !== 0
  })
}
