import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { inject } from 'vitest'

export const ROOT = resolve(import.meta.dirname, '../..')

const execute = promisify(execFile)

/** A project outside this one, into which the packed package is installed. */
export interface Scratch {
  readonly directory: string
  path(name: string): string
  write(files: Readonly<Record<string, string>>): void
  /** Runs a program and gives what it printed; rejects, with that in the message, when it fails. */
  run(
    command: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<string>
  node(...args: readonly string[]): Promise<string>
}

const run = async (
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> => {
  // Without what npm and vitest tell the programs that they start.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_|VITEST|NODE_ENV|NODE_OPTIONS|DB_)/.test(name),
  )
  const options = { cwd, env: { ...Object.fromEntries(inherited), ...env }, maxBuffer: 2 ** 26 }
  try {
    const { stdout, stderr } = await execute(command, args, options)
    return stdout + stderr
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error })
  }
}

export const npm = (args: readonly string[], cwd: string): Promise<string> => run('npm', args, cwd)

/** Makes a project with these packages; it is removed after the last test. */
export const scratch = async (
  packages: readonly string[],
  manifest: object = {},
): Promise<Scratch> => {
  const directory = mkdtempSync(join(inject('workshop'), 'scratch-'))
  chmodSync(directory, 0o755)
  const project: Scratch = {
    directory,
    path: (name) => join(directory, name),
    write(files) {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(project.path(name)), { recursive: true })
        writeFileSync(project.path(name), text)
      }
    },
    run: (command, args, env) => run(command, args, directory, env),
    node: (...args) => project.run(process.execPath, args),
  }
  project.write({ 'package.json': JSON.stringify({ name: 'scratch', private: true, ...manifest }) })
  const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  await npm(['install', ...flags, ...packages], directory)
  return project
}
