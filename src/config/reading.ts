import type { Issues } from './issues.ts'
import type { ScalarTree } from './tree.ts'
import { expandVariables, hasExpression } from './variables.ts'
import type { Variables } from './variables.ts'

/** What reading a configuration needs to know and where it puts what it notices. */
export interface Reading {
  /** Files are snake_case and their texts may hold expressions; objects are camelCase and are taken as they are. */
  readonly source: 'file' | 'object'
  readonly variables: Variables
  /** Where relative paths begin. */
  readonly directory: string
  readonly issues: Issues
  /** Keys that were met and mean nothing here. */
  readonly ignored: Set<string>
  readonly notices: Set<string>
}

/** A value that is not usable; the mistake has been noted. */
export const INVALID: unique symbol = Symbol('invalid')

/** A scalar after its expressions were replaced. */
export interface Expanded {
  readonly value: unknown
  /** The variables that the value came from: then it is text, and is shown in no message. */
  readonly names: readonly string[]
}

/** Replaces the expressions of a file's scalar. */
export const expandScalar = (
  { value, place }: ScalarTree,
  { source, variables, issues }: Reading,
): Expanded | typeof INVALID => {
  if (source === 'object' || typeof value !== 'string' || !hasExpression(value)) {
    return { value, names: [] }
  }
  const expansion = expandVariables(value, variables)
  if ('text' in expansion) return { value: expansion.text, names: expansion.names }
  issues.add(`found ${expansion.problem}`, place)
  return INVALID
}
