import type { KeyDefinitions, ValueOf } from './kinds.ts'
import { IGNORED_KEYS, SYNONYMS } from './keys.ts'
import { nearest, toCamelCase, toSnakeCase } from './names.ts'
import { INVALID } from './reading.ts'
import type { Reading } from './reading.ts'
import { isAbsent, quote } from './tree.ts'
import type { MapTree, Place } from './tree.ts'
import { readValue } from './values.ts'

/** A checked value and where it stands; `value` is {@link INVALID} when a mistake was noted for it. */
export interface Given<Value> {
  readonly value: Value | typeof INVALID
  readonly place: Place
}

/** The checked values of one map, by their names in files. Keys without a value are absent. */
export type Section<D extends KeyDefinitions> = {
  -readonly [Name in keyof D]?: Given<ValueOf<D[Name]['kind']>>
}

/** Reads the keys of a map by their definitions. What is unknown is a mistake with a suggestion. */
export const readSection = <D extends KeyDefinitions>(
  map: MapTree,
  definitions: D,
  what: string,
  reading: Reading,
): Section<D> => {
  const section: Record<string, Given<unknown>> = {}
  for (const [key, { place, value }] of map.entries) {
    const name = nameOf(key, definitions, reading)
    if (name === undefined) {
      if (reading.source === 'file' && IGNORED_KEYS.has(key)) reading.ignored.add(key)
      else reading.issues.add(unknownKey(key, definitions, what, reading), place)
    } else if (!isAbsent(value)) {
      section[name] = { value: readValue(value, definitions[name]!, reading), place: value.place }
    }
  }
  return section as Section<D>
}

/** The value of a key that was given and is in order. */
export const valid = <Value>(given: Given<Value> | undefined): Value | undefined =>
  given === undefined || given.value === INVALID ? undefined : given.value

/** The definition's name of a key that is spelt as its source spells keys. */
const nameOf = (
  key: string,
  definitions: KeyDefinitions,
  { source }: Reading,
): string | undefined => {
  if (source === 'file') return Object.hasOwn(definitions, key) ? key : undefined
  return Object.keys(definitions).find((name) => toCamelCase(name) === key)
}

const unknownKey = (
  key: string,
  definitions: KeyDefinitions,
  what: string,
  { source }: Reading,
): string => {
  const spell = (name: string): string => (source === 'file' ? name : toCamelCase(name))
  const snake = toSnakeCase(key)
  if (Object.hasOwn(definitions, snake)) {
    const style = source === 'file' ? 'files use snake_case' : 'objects use camelCase'
    return `unknown key ${quote(key)}; write '${spell(snake)}' (${style})`
  }
  const synonym = SYNONYMS.get(snake)
  const known =
    synonym !== undefined && Object.hasOwn(definitions, synonym)
      ? synonym
      : nearest(snake, Object.keys(definitions))
  const advice =
    known === undefined
      ? `${what} has ${Object.keys(definitions).map(spell).join(', ')}`
      : `did you mean '${spell(known)}'?`
  return `unknown key ${quote(key)}; ${advice}`
}
