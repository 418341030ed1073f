import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, vi } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import type { ClusterConfigInput, LoadOptions } from '../../../src/config/input.ts'
import type { ClusterConfig } from '../../../src/config/types.ts'
import { ConfigError } from '../../../src/errors.ts'
import type { ConfigIssue } from '../../../src/errors.ts'

/** An empty working directory and an environment in which nothing is set, for each test. */
export const useEmptySurroundings = (): { readonly directory: string } => {
  const state = { directory: '' }
  const before = process.cwd()
  beforeEach(() => {
    state.directory = mkdtempSync(join(tmpdir(), 'segregato-config-'))
    process.chdir(state.directory)
    for (const name of Object.keys(process.env)) {
      if (/^(?:PG|DB_|NODE_ENV$)/.test(name)) vi.stubEnv(name, undefined)
    }
    vi.stubEnv('HOME', state.directory)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    process.chdir(before)
    rmSync(state.directory, { recursive: true, force: true })
  })
  return state
}

/** Loads a text as `database.yml` of the working directory. */
export const loadText = (text: string, options: LoadOptions = {}): ClusterConfig => {
  writeFileSync('database.yml', text)
  return loadConfig(options)
}

/** Loads a `development` environment whose master has these lines besides its host. */
export const loadMaster = (...lines: readonly string[]): ClusterConfig =>
  loadText(
    ['development:', '  master:', '    host: localhost', ...lines.map((line) => `    ${line}`)]
      .concat('  replica1:', '    host: localhost', '    port: 5433', '')
      .join('\n'),
  )

/** The line of the first line given to {@link loadMaster}. */
export const FIRST_LINE = 4

/** Loads an object whose master has these keys besides its host. */
export const loadMasterObject = (master: object): ClusterConfig =>
  loadConfig({
    config: {
      master: { host: 'localhost', ...master },
      replica1: { host: 'localhost', port: 5433 },
    } as ClusterConfigInput,
  })

/** The error of a configuration that must not load. */
export const errorOf = (load: () => unknown): ConfigError => {
  try {
    load()
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('It loaded, which it must not')
}

/** The mistakes of a configuration that must not load. */
export const issuesOf = (load: () => unknown): readonly ConfigIssue[] => errorOf(load).issues

/** The only mistake of a configuration that must have exactly one. */
export const issueOf = (load: () => unknown): ConfigIssue => {
  const [issue, ...others] = issuesOf(load)
  if (issue === undefined || others.length > 0) {
    throw new Error(`Expected one mistake, found ${JSON.stringify([issue, ...others], null, 2)}`)
  }
  return issue
}

/** A configuration that is in order. */
export const MINIMAL = `development:
  master:
    host: localhost
  replica1:
    host: localhost
    port: 5433
`
