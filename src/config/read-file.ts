import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
} from 'node:fs'
import type { Stats } from 'node:fs'
import { dirname, sep } from 'node:path'

/** A file's bytes and what the system says about it, or why there are none. */
export type FileContent =
  | { readonly bytes: Buffer; readonly stats: Stats }
  | { readonly problem: string; readonly missing?: true; readonly directory?: true }

/**
 * Reads a regular file up to a size. A FIFO, a device or a directory is refused without waiting, a
 * file that is too large without reading it. A symbolic link may lead to a file in its own
 * directory or below (as mounted secrets do), not out of it.
 */
export const readRegularFile = (path: string, maxBytes: number): FileContent => {
  try {
    const target = followLink(path)
    if (target === undefined) {
      return refuse('is a symbolic link that leads out of its directory; name the file itself')
    }
    return readOpened(target, maxBytes)
  } catch (error) {
    return describeFailure(error)
  }
}

const followLink = (path: string): string | undefined => {
  if (!lstatSync(path).isSymbolicLink()) return path
  const directory = realpathSync(dirname(path))
  const target = realpathSync(path)
  return target.startsWith(directory.endsWith(sep) ? directory : directory + sep)
    ? target
    : undefined
}

const readOpened = (path: string, maxBytes: number): FileContent => {
  const before = lstatSync(path)
  if (!before.isFile()) return notRegular(before)
  // The file may have been replaced since: opened without waiting, asked again, read no further than allowed.
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants
  const file = openSync(path, O_RDONLY | (O_NONBLOCK ?? 0) | (O_NOFOLLOW ?? 0))
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) return notRegular(stats)
    if (stats.size > maxBytes) return tooLarge(maxBytes)
    const bytes = readUpTo(file, maxBytes + 1)
    return bytes.length > maxBytes ? tooLarge(maxBytes) : { bytes, stats }
  } finally {
    closeSync(file)
  }
}

const readUpTo = (file: number, size: number): Buffer => {
  const buffer = Buffer.alloc(size)
  let length = 0
  while (length < size) {
    const count = readSync(file, buffer, length, size - length, null)
    if (count === 0) break
    length += count
  }
  return buffer.subarray(0, length)
}

const refuse = (problem: string): FileContent => ({ problem })

const tooLarge = (maxBytes: number): FileContent =>
  refuse(`is larger than ${maxBytes >= 1024 ? `${maxBytes / 1024} KiB` : `${maxBytes} bytes`}`)

const notRegular = (stats: Stats): FileContent => ({
  problem: `is ${describeType(stats)}, not a regular file`,
  ...(stats.isDirectory() ? { directory: true } : {}),
})

const describeType = (stats: Stats): string => {
  if (stats.isDirectory()) return 'a directory'
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isSocket()) return 'a socket'
  if (stats.isSymbolicLink()) return 'a symbolic link'
  return 'a device'
}

const describeFailure = (error: unknown): FileContent => {
  const code = (error as NodeJS.ErrnoException).code
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return { problem: 'was not found', missing: true }
    case 'EACCES':
    case 'EPERM':
      return refuse('cannot be read: permission denied')
    default:
      return refuse(`cannot be read${code === undefined ? '' : `: ${code}`}`)
  }
}

/** Bytes as UTF-8 text without a byte order mark; `undefined` when they are something else. */
export const decodeText = (bytes: Buffer): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // The error says no more than this.
    return undefined
  }
}
