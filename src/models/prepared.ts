import { createHash } from 'node:crypto'

/**
 * Names of prepared statements. A name is made of the text's hash: two installed copies of the
 * library that share a cluster must never give one name to two texts.
 */
const names = new Map<string, string>()
let generation = 0

/** Servers keep prepared statements as long as a connection lives: texts beyond this many stay unnamed. */
const MAX_NAMES = 1_000

export const preparedName = (text: string): string | undefined => {
  let name = names.get(text)
  if (name === undefined && names.size < MAX_NAMES) {
    name = `segregato_${generation}_${createHash('sha256').update(text).digest('base64url').slice(0, 22)}`
    names.set(text, name)
  }
  return name
}

/** Makes every statement be prepared anew, under another name, on every connection. */
export const renewNames = (): void => {
  generation += 1
  names.clear()
}
