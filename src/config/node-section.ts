import { NODE_KEYS, RAILS_KEYS } from './keys.ts'
import type { KeyDefinitions } from './kinds.ts'
import { toCamelCase } from './names.ts'
import { INVALID } from './reading.ts'
import type { Reading } from './reading.ts'
import { convertText, describeExpected, fits } from './scalars.ts'
import { readSection, valid } from './section.ts'
import type { Given, Section } from './section.ts'
import { describeFound } from './tree.ts'
import type { Place, Tree } from './tree.ts'
import { parseUrl } from './url.ts'
import type { UrlPart } from './url.ts'
import { readValue } from './values.ts'

const FILE_KEYS = { ...NODE_KEYS, ...RAILS_KEYS } as const

/** What one node's keys say, its URL taken apart and the words of Rails translated. */
export type NodeSection = Section<typeof FILE_KEYS>

/** Reads the keys of one node. A text is the node's URL. `undefined` when it is neither; that is noted. */
export const readNodeSection = (
  tree: Tree,
  role: 'primary' | 'replica',
  reading: Reading,
): NodeSection | undefined => {
  const section = readKeys(tree, reading)
  if (section === undefined) return undefined
  refuseUrls(section, reading)
  takeUrlApart(section, reading)
  translateRails(section, role, reading)
  return section
}

const readKeys = (tree: Tree, reading: Reading): NodeSection | undefined => {
  if (tree.kind === 'map') {
    const definitions: KeyDefinitions = reading.source === 'file' ? FILE_KEYS : NODE_KEYS
    return readSection(tree, definitions, 'a node', reading)
  }
  if (tree.kind === 'scalar' && typeof tree.value === 'string') {
    return { url: { value: readValue(tree, NODE_KEYS.url, reading), place: tree.place } }
  }
  reading.issues.add(
    `found ${describeFound(tree)}, expected the keys of a node or its URL: every key other than 'master' and 'settings' is a replica`,
    tree.place,
  )
  return undefined
}

/** A URL in one of these would be sent to the server, and its password shown wherever the name is. */
const refuseUrls = (section: NodeSection, { issues }: Reading): void => {
  for (const name of ['database', 'username', 'application_name'] as const) {
    const text = valid(section[name])
    if (
      text === undefined ||
      !/^[a-z][\w+.:-]*:\/\/.*@|^(?:jdbc:)?postgres(?:ql)?:\/\//is.test(text)
    )
      continue
    const { place } = section[name]!
    issues.add('found a URL, expected a name; a URL goes under the key url', place)
    section[name] = { value: INVALID, place }
  }
}

const takeUrlApart = (section: NodeSection, reading: Reading): void => {
  const url = valid(section.url)
  if (section.url === undefined || url === undefined) return
  const { place } = section.url
  const parsed = parseUrl(url)
  if ('problem' in parsed) {
    reading.issues.add(parsed.problem, place)
    // Whatever the URL was to say is not known now, and must not be asked for.
    section.host ??= { value: INVALID, place }
    section.ssl ??= { value: INVALID, place }
    return
  }
  for (const name of parsed.ignored) reading.ignored.add(name)
  for (const [part, text] of Object.entries(parsed.parts) as [UrlPart, string][]) {
    put(section, part, text, place, reading)
  }
}

/** Puts a part of a URL beside the keys, where the same key may say the same but nothing else. */
const put = (
  section: Record<string, Given<unknown>>,
  part: UrlPart,
  text: string,
  place: Place,
  { issues, source }: Reading,
): void => {
  const { kind } = FILE_KEYS[part]
  const value = convertText(text, kind)
  const spelt = source === 'file' ? part : toCamelCase(part)
  if (!fits(value, kind, source)) {
    issues.add(`expected ${describeExpected(kind)} as '${spelt}' in the URL`, place)
    section[part] ??= { value: INVALID, place }
    return
  }
  const given = section[part]
  if (given === undefined) {
    section[part] = { value, place }
  } else if (given.value !== INVALID && given.value !== value) {
    issues.add(`'${spelt}' and the URL say different things; leave one of them out`, given.place)
  }
}

const translateRails = (
  section: NodeSection,
  role: 'primary' | 'replica',
  { issues }: Reading,
): void => {
  const { encoding, replica, schema_search_path: searchPath, variables } = section
  const charset = valid(encoding)
  if (encoding !== undefined && charset !== undefined && !/^(?:utf-?8|unicode)$/i.test(charset)) {
    issues.add('expected utf8 or unicode as encoding: no other one is spoken here', encoding.place)
  }
  const isReplica = valid(replica)
  if (replica !== undefined && isReplica !== undefined && isReplica !== (role === 'replica')) {
    issues.add(
      isReplica
        ? 'found replica: true, but this node is the master'
        : "found replica: false, but every key other than 'master' and 'settings' is a replica",
      replica.place,
    )
  }
  inMilliseconds(section, 'connect_timeout', issues)
  inMilliseconds(section, 'idle_timeout', issues)
  const path = valid(searchPath)
  if (searchPath === undefined || path === undefined) return
  const parameters = valid(variables) ?? {}
  if (Object.hasOwn(parameters, 'search_path')) {
    issues.add('variables.search_path says the same; leave one of them out', searchPath.place)
  }
  section.variables = { value: { ...parameters, search_path: path }, place: searchPath.place }
}

const inMilliseconds = (
  section: NodeSection,
  name: 'connect_timeout' | 'idle_timeout',
  issues: Reading['issues'],
): void => {
  const given = section[name]
  const seconds = valid(given)
  if (given === undefined || seconds === undefined) return
  const key = `${name}_ms` as const
  if (section[key] !== undefined) {
    issues.add(`'${key}' says the same in milliseconds; leave one of them out`, given.place)
    return
  }
  const value = Math.round(seconds * 1_000)
  const { kind } = NODE_KEYS[key]
  if (fits(value, kind, 'file')) section[key] = { value, place: given.place }
  else issues.add(`found ${seconds} seconds, expected at least ${kind.min} ms`, given.place)
}
