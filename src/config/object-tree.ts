import { INPUT_LIMITS } from './defaults.ts'
import type { Issues } from './issues.ts'
import { RESERVED_NAMES, quote } from './tree.ts'
import type { Entry, Tree } from './tree.ts'

/** Reads an object that was given in place of a file: own, enumerable keys only. `undefined` when that failed. */
export const readObject = (input: unknown, issues: Issues): Tree | undefined => {
  try {
    return new TreeBuilder(issues).tree(input, [])
  } catch {
    // A getter or a proxy of the caller's. Its message may show what must not be shown.
    issues.add('the configuration object cannot be read: one of its properties throws')
    return undefined
  }
}

class TreeBuilder {
  readonly #issues: Issues
  #values = 0
  #refused = false

  constructor(issues: Issues) {
    this.#issues = issues
  }

  tree(value: unknown, path: readonly string[]): Tree {
    const place = { path }
    this.#values += 1
    if (Array.isArray(value) && this.#mayOpen(path)) {
      const items: Tree[] = []
      for (let index = 0; index < value.length && !this.#refused; index++) {
        items.push(this.tree(value[index], [...path, String(index)]))
      }
      return { kind: 'list', items, place }
    }
    if (isRecord(value) && this.#mayOpen(path)) {
      const entries = new Map<string, Entry>()
      for (const key of Object.keys(value)) {
        if (this.#refused) break
        const at = [...path, key]
        if (RESERVED_NAMES.has(key)) this.#issues.add(`${quote(key)} cannot be a key`, { path: at })
        entries.set(key, { place: { path: at }, value: this.tree(value[key], at) })
      }
      return { kind: 'map', entries, place }
    }
    return { kind: 'scalar', value, place }
  }

  /** Whether one more map or list is allowed. Said once: an object that contains itself has no end. */
  #mayOpen(path: readonly string[]): boolean {
    if (this.#refused) return false
    const problem =
      path.length >= INPUT_LIMITS.depth
        ? `found more than ${INPUT_LIMITS.depth} levels of objects and lists`
        : this.#values > INPUT_LIMITS.values
          ? `found more than ${INPUT_LIMITS.values} values`
          : undefined
    if (problem === undefined) return true
    this.#refused = true
    this.#issues.add(problem, { path })
    return false
  }
}

/** Plain objects, those of another realm and instances of classes; not dates, maps, promises and the like. */
const isRecord = (value: unknown): value is Record<string, unknown> =>
  Object.prototype.toString.call(value) === '[object Object]'
