import { dirname, resolve } from 'node:path'
import { buildCluster } from './build.ts'
import type { Origin } from './build.ts'
import { INPUT_LIMITS } from './defaults.ts'
import { chooseEnvironment, findSurroundings } from './environment.ts'
import type { LoadOptions } from './input.ts'
import { Issues, mistake } from './issues.ts'
import { readObject } from './object-tree.ts'
import { decodeText, readRegularFile } from './read-file.ts'
import type { Reading } from './reading.ts'
import { describeValue, isAbsent } from './tree.ts'
import type { MapTree } from './tree.ts'
import type { ClusterConfig } from './types.ts'
import { readYaml } from './yaml-tree.ts'

/**
 * Reads and checks a configuration: the object or the file that is given, else the file that
 * `DB_CONFIG` names, else `database.yml`. Opens no connection and changes nothing in `process.env`.
 *
 * @throws {@link ConfigError} with every mistake: file, line, column, path, what was found and what was expected.
 *
 * @example
 * ```ts
 * const config = loadConfig({ env: 'production', config: 'config/database.yml' })
 * config.primary.host
 * ```
 */
export const loadConfig = (options: LoadOptions = {}): ClusterConfig => {
  const { env, config } = checkOptions(options)
  return typeof config === 'object' ? loadObject(config, env) : loadFile(config, env)
}

const loadObject = (input: object, env: string | undefined): ClusterConfig => {
  const issues = new Issues()
  const tree = readObject(input, issues)
  if (tree !== undefined && tree.kind !== 'map') {
    issues.add('expected an object with master, replicas and settings as configuration')
  }
  issues.throwIfAny()
  const reading = {
    source: 'object',
    variables: { ...process.env },
    directory: process.cwd(),
    issues,
    ignored: new Set<string>(),
    notices: new Set<string>(),
  } as const
  return complete(
    tree as MapTree,
    undefined,
    { environment: env, name: 'the configuration object' },
    reading,
  )
}

const loadFile = (path: string | undefined, env: string | undefined): ClusterConfig => {
  const surroundings = findSurroundings(path, env, process.env)
  const { file, variables } = surroundings
  if (file.includes('://')) {
    // Not shown: it may hold a password.
    throw mistake(
      "expected the path of a configuration file, found a URL; a server's URL goes under the key url of its node",
    )
  }
  const absolute = resolve(file)
  const issues = new Issues(file)
  const tree = readYaml(readText(file, absolute), issues)
  issues.throwIfAny()
  if (tree === undefined || isAbsent(tree)) throw mistake(`File '${file}' is empty.`)
  const chosen = chooseEnvironment(tree, env, surroundings, issues)
  issues.throwIfAny()
  const { name: environment, map } = chosen!
  const reading = {
    source: 'file',
    variables,
    directory: dirname(absolute),
    issues,
    ignored: new Set<string>(),
    notices: new Set<string>(),
  } as const
  return complete(map, absolute, { environment, name: file }, reading)
}

/** The text of the configuration file. */
const readText = (file: string, absolute: string): string => {
  const content = readRegularFile(absolute, INPUT_LIMITS.configurationBytes)
  if ('problem' in content) {
    throw mistake(`File '${file}' ${content.missing ? 'not found' : content.problem}.`)
  }
  const text = decodeText(content.bytes)
  if (text === undefined) throw mistake(`File '${file}' is not UTF-8 text.`)
  return text
}

const complete = (
  map: MapTree,
  file: string | undefined,
  origin: Origin,
  reading: Reading,
): ClusterConfig => {
  const { primary, replicas, settings } = buildCluster(map, origin, reading)
  reading.issues.throwIfAny()
  const { ignored, notices } = reading
  if (ignored.size > 0)
    notices.add(`Ignored, as these keys mean nothing here: ${[...ignored].join(', ')}`)
  return Object.freeze({
    environment: origin.environment,
    file,
    primary: primary!,
    replicas,
    settings,
    notices: Object.freeze([...notices]),
  })
}

const checkOptions = (options: unknown): LoadOptions => {
  const issues = new Issues()
  const { env, config } = (options ?? {}) as Readonly<Record<string, unknown>>
  if (env !== undefined && typeof env !== 'string') {
    issues.add(`found ${describeValue(env)}, expected the name of an environment`, {
      path: ['env'],
    })
  }
  const usable =
    config === undefined ||
    typeof config === 'string' ||
    (typeof config === 'object' && config !== null && !Array.isArray(config))
  if (!usable) {
    issues.add(`found ${describeValue(config, true)}, expected a path or an object`, {
      path: ['config'],
    })
  }
  issues.throwIfAny()
  return { env, config } as LoadOptions
}
