import { resolve } from 'node:path'
import { DEFAULT_ENVIRONMENT, DEFAULT_FILE, DOTENV_FILE, INPUT_LIMITS } from './defaults.ts'
import { mistake } from './issues.ts'
import type { Issues } from './issues.ts'
import { dotenv } from './load-once.ts'
import { nearest } from './names.ts'
import { decodeText, readRegularFile } from './read-file.ts'
import { describeFound, quote } from './tree.ts'
import type { MapTree, Tree } from './tree.ts'
import type { Variables } from './variables.ts'

/** Where the configuration is and which variables it may use. */
export interface Surroundings {
  /** As it was named, for messages. */
  readonly file: string
  /** The process's variables over those of `.env`. */
  readonly variables: Variables
  /** The process's own `NODE_ENV`. */
  readonly nodeEnv: string | undefined
}

/** Finds the configuration file and `.env`. The process's variables are never changed, and always win. */
export const findSurroundings = (
  file: string | undefined,
  env: string | undefined,
  own: Variables,
): Surroundings => {
  const chosen = env ?? (own['DB_ENV'] || own['NODE_ENV'])
  const withDotenv = !chosen || chosen === 'development' || chosen === 'test'
  const named = file ?? (own['DB_CONFIG'] || undefined)
  const here = named === undefined && withDotenv ? readDotenv(DOTENV_FILE) : undefined
  const found = named ?? (here?.['DB_CONFIG'] || DEFAULT_FILE)
  const beside = resolve(found, '..', DOTENV_FILE)
  const values = withDotenv
    ? (readDotenv(beside) ?? here ?? (named === undefined ? undefined : readDotenv(DOTENV_FILE)))
    : undefined
  return { file: found, variables: { ...values, ...own }, nodeEnv: own['NODE_ENV'] }
}

/** `undefined` when there is no such file. A directory of that name is some other program's. */
const readDotenv = (path: string): Variables | undefined => {
  const content = readRegularFile(path, INPUT_LIMITS.configurationBytes)
  if ('problem' in content) {
    if (content.missing || content.directory) return undefined
    throw mistake(`File '${path}' ${content.problem}.`)
  }
  const text = decodeText(content.bytes)
  if (text === undefined) throw mistake(`File '${path}' is not UTF-8 text.`)
  return dotenv().parse(text)
}

/** Chooses the environment of a file. `undefined` when the file does not have it; that is noted. */
export const chooseEnvironment = (
  tree: Tree,
  env: string | undefined,
  { variables, file, nodeEnv }: Surroundings,
  issues: Issues,
): { readonly name: string; readonly map: MapTree } | undefined => {
  if (tree.kind !== 'map') {
    issues.add('expected a map of environments, such as development:', tree.place)
    return undefined
  }
  const named = env ?? (variables['DB_ENV'] || undefined)
  const byNodeEnv = nodeEnv && tree.entries.has(nodeEnv) ? nodeEnv : undefined
  if (named === undefined && byNodeEnv === undefined && nodeEnv === 'production') {
    issues.add(
      `NODE_ENV is production, but ${file} has no such environment. Add it, or name one by DB_ENV. ${listEnvironments(tree)}`,
    )
    return undefined
  }
  const name = named ?? byNodeEnv ?? DEFAULT_ENVIRONMENT
  const map = tree.entries.get(name)?.value
  if (map?.kind === 'map') return { name, map }
  const found =
    map === undefined
      ? `there is no such environment. ${listEnvironments(tree, name)}`
      : `found ${describeFound(map)}, expected a map with master and replicas`
  issues.add(
    `Master configuration in environment '${quoteless(name)}' was not found in ${file}: ${found}`,
    map?.place,
  )
  return undefined
}

/** A name as {@link quote} shows it, without the quotes. */
const quoteless = (name: string): string => quote(name).slice(1, -1)

const listEnvironments = ({ entries }: MapTree, wanted?: string): string => {
  if (entries.has('master') || entries.has('primary')) {
    return `Put 'master' and the replicas under an environment, such as ${DEFAULT_ENVIRONMENT}:`
  }
  const maps = [...entries].filter(([, { value }]) => value.kind === 'map')
  const complete = maps.filter(
    ([, { value }]) =>
      value.kind === 'map' && (value.entries.has('master') || value.entries.has('primary')),
  )
  // Maps without a master are mostly templates for anchors.
  const names = (complete.length > 0 ? complete : maps).map(([name]) => name)
  const near = wanted === undefined ? undefined : nearest(wanted, names)
  const list =
    names.length === 0 ? 'There are none' : `There are: ${names.map(quoteless).join(', ')}`
  return near === undefined ? list : `${list}. Did you mean ${quote(near)}?`
}
