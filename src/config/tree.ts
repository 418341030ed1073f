/**
 * What was read, before anything is known about its meaning: the same shape for a file and for an
 * object. Each part knows where it stands, so that every mistake can name its place.
 */

/** Where something stands. Lines and columns count from 1 and are absent in objects. */
export interface Place {
  readonly path: readonly string[]
  readonly line?: number
  readonly column?: number
}

export interface ScalarTree {
  readonly kind: 'scalar'
  readonly value: unknown
  readonly place: Place
}

interface ListTree {
  readonly kind: 'list'
  readonly items: readonly Tree[]
  readonly place: Place
}

/** A `Map`, not an object: a key such as `__proto__` is a key like any other until it is refused. */
export interface MapTree {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, Entry>
  readonly place: Place
}

export interface Entry {
  /** Where the key stands; `value.place` is where its value stands. */
  readonly place: Place
  readonly value: Tree
}

export type Tree = ScalarTree | ListTree | MapTree

/** Names that mean something to every JavaScript object. None of them is a useful name here. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set([
  '__proto__',
  'constructor',
  'prototype',
])

/** An absent value: a key without one, `null`, or `undefined` in an object. */
export const isAbsent = (tree: Tree): boolean =>
  tree.kind === 'scalar' && (tree.value === null || tree.value === undefined)

/**
 * What was found, in words for a message. With `secret` the kind only, never the value. Text is hardly
 * ever shown: a secret may stand in any place by mistake.
 */
export const describeFound = (tree: Tree, secret = false): string => {
  if (tree.kind !== 'scalar') return tree.kind === 'map' ? 'a map' : 'a list'
  return describeValue(tree.value, secret)
}

/** What a value is, in words for a message. */
export const describeValue = (value: unknown, secret = false): string => {
  switch (typeof value) {
    case 'string':
      return secret || !SHOWN.test(value) ? 'text' : quote(value)
    case 'number':
      return secret ? 'a number' : String(value)
    case 'boolean':
      return secret ? 'true or false' : String(value)
    case 'undefined':
      return 'nothing'
    case 'object':
      return value === null ? 'nothing' : Array.isArray(value) ? 'a list' : 'an object'
    default:
      return `a ${typeof value}`
  }
}

/** Text that says by its form what is wrong with it, and is no secret: empty, a number, or true or false in words. */
const SHOWN = /^(?:[+-]?\d{1,12}(?:\.\d{1,6})?|true|false|yes|no|on|off)?$/i

const LONGEST_QUOTE = 60

/** Text in quotes, on one line and not longer than a message can bear. */
export const quote = (text: string): string => {
  const shown = text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text
  return `'${JSON.stringify(shown).slice(1, -1).replaceAll('\\"', '"')}'`
}
