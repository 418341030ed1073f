import { INVALID, expandScalar } from './reading.ts'
import type { Reading } from './reading.ts'
import { describeFound, isAbsent } from './tree.ts'
import type { Entry, Tree } from './tree.ts'

/** A parameter's name, also one of an extension: `app.tenant`. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/

/** Parameters on which the refusal of writes rests, and one that has a key of its own. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['default_transaction_read_only', 'it is set by the purpose of a connection'],
  ['transaction_read_only', 'it is set by the purpose of a connection'],
  ['application_name', 'use the key application_name'],
])

/** Reads `variables`. No message shows a value: parameters of applications may be secrets. */
export const readParameters = (
  tree: Tree,
  reading: Reading,
): Readonly<Record<string, string>> | typeof INVALID => {
  if (tree.kind !== 'map') {
    const found = describeFound(tree, true)
    reading.issues.add(`found ${found}, expected a map such as { search_path: app }`, tree.place)
    return INVALID
  }
  const pairs = [...tree.entries].flatMap(([name, entry]) => {
    const value = readParameter(name, entry, reading)
    return value === undefined ? [] : [[name, value] as const]
  })
  if (pairs.some(([, value]) => value === INVALID)) return INVALID
  return Object.fromEntries(pairs) as Record<string, string>
}

const readParameter = (
  name: string,
  { place, value }: Entry,
  reading: Reading,
): string | undefined | typeof INVALID => {
  const { issues } = reading
  const refused = REFUSED.get(name.toLowerCase())
  if (!NAME.test(name)) {
    issues.add('expected the name of a run-time parameter, such as search_path', place)
    return INVALID
  }
  if (refused !== undefined) {
    issues.add(`'${name}' cannot be a variable: ${refused}`, place)
    return INVALID
  }
  if (isAbsent(value)) return undefined
  const expanded = value.kind === 'scalar' ? expandScalar(value, reading) : undefined
  if (expanded === INVALID) return INVALID
  const raw = expanded?.value
  const usable =
    (typeof raw === 'string' && !raw.includes('\0')) ||
    typeof raw === 'boolean' ||
    Number.isFinite(raw)
  if (usable) return String(raw)
  issues.add(
    `found ${describeFound(value, true)}, expected text, a number, true or false`,
    value.place,
  )
  return INVALID
}
