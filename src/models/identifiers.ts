import { InvalidArgumentError } from '../errors.ts'

/** PostgreSQL cuts longer names silently, so that two of them could mean one column. */
const MAX_BYTES = 63

/** A name as a quoted SQL identifier: nothing in it can end the quotes. */
export const quoteIdentifier = (name: unknown): string => {
  if (typeof name !== 'string' || name === '') {
    throw new InvalidArgumentError('A name of a table or column must be a string that is not empty')
  }
  if (name.includes('\0'))
    throw new InvalidArgumentError('A name of a table or column must not contain NUL')
  if (Buffer.byteLength(name) > MAX_BYTES) {
    throw new InvalidArgumentError(
      `A name of a table or column has at most ${MAX_BYTES} bytes, this one has ${Buffer.byteLength(name)}`,
    )
  }
  return `"${name.replaceAll('"', '""')}"`
}

/** A table's name, with or without its schema: `posts`, `app.posts`. */
export const quoteTable = (name: string): string => {
  const parts = name.split('.')
  if (parts.length > 2)
    throw new InvalidArgumentError(`A table is called 'table' or 'schema.table', not '${name}'`)
  return parts.map(quoteIdentifier).join('.')
}

/** The known name that is most like a wrong one, if any is near. */
export const nearest = (wrong: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(2, Math.ceil(wrong.length / 3)) + 1
  for (const name of known) {
    if (Math.abs(name.length - wrong.length) >= least) continue
    const distance = editDistance(wrong.toLowerCase(), name.toLowerCase())
    if (distance < least) [best, least] = [name, distance]
  }
  return best
}

const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, substituted))
    }
    row = next
  }
  return row[b.length]!
}
