import type { Alias, Node, Pair, YAMLMap } from 'yaml'
import { INPUT_LIMITS } from './defaults.ts'
import type { Issues } from './issues.ts'
import { yaml } from './load-once.ts'
import { RESERVED_NAMES, quote } from './tree.ts'
import type { Entry, MapTree, Place, Tree } from './tree.ts'
import { parseYaml } from './yaml-document.ts'
import type { YamlDocument } from './yaml-document.ts'

type Path = readonly string[]

/**
 * Reads the text of a configuration file. Anchors and `<<` are written out; each value keeps the
 * line and column where it was written. `undefined` when there is no tree; why is noted.
 */
export const readYaml = (text: string, issues: Issues): Tree | undefined => {
  const parsed = parseYaml(text, issues)
  if (parsed?.document.contents == null) return undefined
  return new TreeBuilder(parsed, issues).build()
}

class TreeBuilder {
  readonly #yaml = yaml()
  readonly #document: YamlDocument['document']
  readonly #placeOf: YamlDocument['placeOf']
  readonly #issues: Issues
  readonly #targets = new Map<Alias, Node | undefined>()
  readonly #open = new Set<Node>()
  /** Places where a mistake was noted: parts that are used by several aliases are read several times. */
  readonly #noted = new Set<Node | Pair>()
  #values = 0

  constructor({ document, placeOf }: YamlDocument, issues: Issues) {
    this.#document = document
    this.#placeOf = placeOf
    this.#issues = issues
  }

  build(): Tree | undefined {
    this.#findTargets()
    const tree = this.#tree(this.#document.contents as Node, [], { path: [] })
    if (this.#values <= INPUT_LIMITS.values) return tree
    // Few lines of aliases of aliases can stand for any number of values.
    this.#issues.add(
      `found more than ${INPUT_LIMITS.values} values once its aliases are written out`,
    )
    return undefined
  }

  /** An alias means the nearest anchor of its name before it. */
  #findTargets(): void {
    const anchors = new Map<string, Node>()
    this.#yaml.visit(this.#document, {
      Alias: (_key, alias) => void this.#targets.set(alias, anchors.get(alias.source)),
      Value: (_key, node) => void (node.anchor !== undefined && anchors.set(node.anchor, node)),
    })
  }

  #tree(node: Node, path: Path, fallback: Place): Tree {
    const place = node.range == null ? fallback : this.#placeOf(node.range[0], path)
    const nothing: Tree = { kind: 'scalar', value: null, place }
    if (++this.#values > INPUT_LIMITS.values) return nothing
    if (this.#yaml.isAlias(node)) return this.#aliased(node, path, place) ?? nothing
    if (this.#yaml.isScalar(node)) return { kind: 'scalar', value: node.value, place }
    if (this.#open.size >= INPUT_LIMITS.depth) {
      this.#note(node, `found more than ${INPUT_LIMITS.depth} levels of maps and lists`, place)
      return nothing
    }
    this.#open.add(node)
    const tree = this.#yaml.isMap(node)
      ? this.#map(node as YAMLMap<Node, Node | null>, path, place)
      : this.#list(node, path, place)
    this.#open.delete(node)
    return tree
  }

  #aliased(alias: Alias, path: Path, place: Place): Tree | undefined {
    const target = this.#targets.get(alias)
    if (target === undefined) {
      this.#note(
        alias,
        `found the alias ${quote(alias.source)}, for which there is no anchor`,
        place,
      )
    } else if (this.#open.has(target)) {
      this.#note(
        alias,
        `found the alias ${quote(alias.source)} inside of what it stands for`,
        place,
      )
    } else {
      return this.#tree(target, path, place)
    }
    return undefined
  }

  #list(node: Node, path: Path, place: Place): Tree {
    const items = this.#yaml.isSeq<Node>(node) ? node.items : []
    return {
      kind: 'list',
      items: items.map((item, index) => this.#tree(item, [...path, String(index)], place)),
      place,
    }
  }

  #map({ items }: YAMLMap<Node, Node | null>, path: Path, place: Place): MapTree {
    const entries = new Map<string, Entry>()
    const own = new Map<string, Place>()
    for (const pair of items) {
      const { key, value } = pair
      const keyPlace = this.#placeOf(key?.range?.[0], path)
      const name = this.#yaml.isScalar(key) ? key.value : undefined
      if (name === '<<' && this.#yaml.isScalar(key) && key.type === 'PLAIN') {
        for (const [merged, entry] of this.#merged(value, path, keyPlace)) {
          // What the map says itself wins, wherever `<<` stands; among several, the first.
          if (!entries.has(merged)) entries.set(merged, entry)
        }
      } else if (typeof name !== 'string') {
        this.#note(pair, 'expected text as key; put it in quotes', keyPlace)
      } else {
        const at = { ...keyPlace, path: [...path, name] }
        this.#checkKey(pair, name, at, own.get(name))
        own.set(name, at)
        const tree: Tree =
          value === null
            ? { kind: 'scalar', value: null, place: at }
            : this.#tree(value, at.path, at)
        entries.set(name, { place: at, value: tree })
      }
    }
    return { kind: 'map', entries, place }
  }

  #merged(value: Node | null, path: Path, place: Place): ReadonlyMap<string, Entry> {
    const tree = value === null ? undefined : this.#tree(value, path, place)
    if (tree?.kind === 'map') return tree.entries
    const maps = tree?.kind === 'list' ? tree.items : []
    if (maps.length === 0 || maps.some(({ kind }) => kind !== 'map')) {
      if (value !== null) this.#note(value, 'expected << to name a map or a list of maps', place)
      return new Map()
    }
    const merged = new Map<string, Entry>()
    for (const map of maps as readonly MapTree[]) {
      for (const [name, entry] of map.entries) if (!merged.has(name)) merged.set(name, entry)
    }
    return merged
  }

  #checkKey(pair: Pair, name: string, place: Place, first: Place | undefined): void {
    if (RESERVED_NAMES.has(name)) {
      this.#note(pair, `${quote(name)} cannot be a key`, place)
    } else if (first !== undefined) {
      this.#note(
        pair,
        `duplicate key ${quote(name)}, which is in line ${first.line} already`,
        place,
      )
    }
  }

  #note(node: Node | Pair, message: string, place: Place): void {
    if (this.#noted.has(node)) return
    this.#noted.add(node)
    this.#issues.add(message, place)
  }
}
