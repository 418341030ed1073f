/** `statement_timeout_ms` as objects spell it: `statementTimeoutMs`. */
export const toCamelCase = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase())

/** `statementTimeoutMs`, `Statement-Timeout-Ms` or `statement_timeout_ms` as files spell it. */
export const toSnakeCase = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase()

/** The type of {@link toCamelCase}. */
export type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name

/** Longer names are not compared: the effort grows with the square of the length. */
const LONGEST_COMPARED = 40

/** The known name that a misspelt one most likely means; `undefined` when none is near. */
export const nearest = (name: string, known: Iterable<string>): string | undefined => {
  if (name.length > LONGEST_COMPARED) return undefined
  let best: string | undefined
  // A third of the letters may be wrong, at most three.
  let bestDistance = Math.min(3, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** How many letters must be inserted, left out, replaced or swapped with their neighbour. */
const editDistance = (a: string, b: string): number => {
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      current[j] = Math.min(
        previous[j]! + 1,
        current[j - 1]! + 1,
        previous[j - 1]! + (same ? 0 : 1),
        swapped ? before[j - 2]! + 1 : Infinity,
      )
    }
    before = previous
    previous = current
  }
  return previous[b.length]!
}
