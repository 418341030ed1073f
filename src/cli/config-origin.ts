import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DEFAULT_FILE, DOTENV_FILE, INPUT_LIMITS } from '../config/defaults.ts'
import { chooseEnvironment, findSurroundings } from '../config/environment.ts'
import type { LoadOptions } from '../config/input.ts'
import { Issues } from '../config/issues.ts'
import { decodeText, readRegularFile } from '../config/read-file.ts'
import type { MapTree, Tree } from '../config/tree.ts'
import { expandVariables, hasExpression } from '../config/variables.ts'
import type { Variables } from '../config/variables.ts'
import { readYaml } from '../config/yaml-tree.ts'

/** Where a variable's value comes from. */
export type VariableOrigin = 'the environment' | '.env' | 'not set'

/** A configuration file as it was found, before its values were checked. */
export interface ConfigOrigin {
  readonly file: string
  /** Who named the file, and who the environment. */
  readonly fileBy: string
  readonly environmentBy: string
  /** The `.env` that was read; `undefined` when there is none or it was skipped. */
  readonly dotenv: string | undefined
  readonly variables: Variables
  /** The chosen environment's map. */
  readonly map: MapTree
  /** The variables that the environment's map refers to. */
  readonly names: readonly string[]
  readonly originOf: (variable: string) => VariableOrigin
}

/** Finds out where the configuration comes from that `loadConfig()` has just accepted. */
export const findOrigin = ({ env, config }: LoadOptions): ConfigOrigin => {
  const path = typeof config === 'string' ? config : undefined
  const surroundings = findSurroundings(path, env, process.env)
  const { file, variables, nodeEnv } = surroundings
  const issues = new Issues(file)
  const content = readRegularFile(resolve(file), INPUT_LIMITS.configurationBytes)
  const text = 'bytes' in content ? decodeText(content.bytes) : undefined
  const tree = readYaml(text ?? '', issues)
  const chosen = tree && chooseEnvironment(tree, env, surroundings, issues)
  // Only when the file was changed since it was loaded.
  issues.throwIfAny()
  const map: MapTree = chosen?.map ?? { kind: 'map', entries: new Map(), place: { path: [] } }
  const originOf = (name: string): VariableOrigin =>
    Object.hasOwn(process.env, name)
      ? 'the environment'
      : variables[name] === undefined
        ? 'not set'
        : '.env'
  const named = (name: string): string => `${name} of ${originOf(name)}`
  return {
    file: resolve(file),
    fileBy:
      path !== undefined ? '--config' : variables['DB_CONFIG'] ? named('DB_CONFIG') : 'default',
    environmentBy:
      env !== undefined
        ? '--env'
        : variables['DB_ENV']
          ? named('DB_ENV')
          : nodeEnv !== undefined && nodeEnv === chosen?.name
            ? named('NODE_ENV')
            : 'default',
    dotenv: findDotenv(file, variables),
    variables,
    map,
    names: [...new Set(namesIn(map, variables))].toSorted(),
    originOf,
  }
}

/** It was read when it has given a variable, and lies beside the file or here. */
const findDotenv = (file: string, variables: Variables): string | undefined => {
  const isUsed = Object.keys(variables).some((name) => !Object.hasOwn(process.env, name))
  if (!isUsed) return undefined
  const beside = resolve(dirname(resolve(file || DEFAULT_FILE)), DOTENV_FILE)
  return existsSync(beside) ? beside : resolve(DOTENV_FILE)
}

/** The variables of the expressions in a value. */
export const namesIn = (tree: Tree, variables: Variables): readonly string[] => {
  if (tree.kind === 'list') return tree.items.flatMap((item) => namesIn(item, variables))
  if (tree.kind === 'map')
    return [...tree.entries.values()].flatMap(({ value }) => namesIn(value, variables))
  if (typeof tree.value !== 'string' || !hasExpression(tree.value)) return []
  const expansion = expandVariables(tree.value, variables)
  return 'names' in expansion ? expansion.names : []
}
