/** Runs `segregato` as a user does: a program of its own in a folder of its own. */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { stringify } from 'yaml'
import { build, type Built } from '../../support/built.ts'
import { ROOT } from '../../support/documents.ts'

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandLine {
  /** The working directory, empty before each test. */
  readonly project: string
  /** The program's file. */
  readonly program: string
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>
  write(name: string, text: string): void
  read(name: string): string
}

/** Nothing of this process but what a program needs: no `NODE_ENV` of the test runner, no `DB_` and `PG` variables. */
export const PLAIN_ENVIRONMENT = { PATH: process.env['PATH'] ?? '', HOME: tmpdir() }

export const useCommandLine = (): CommandLine => {
  let built: Built
  let project: string
  beforeAll(() => {
    built = build()
    cpSync(join(ROOT, 'docker'), join(built.directory, 'docker'), { recursive: true })
  })
  afterAll(() => built.remove())
  beforeEach(() => {
    project = mkdtempSync(join(tmpdir(), 'segregato-cli-'))
  })
  afterEach(() => rmSync(project, { recursive: true, force: true }))
  return {
    get project() {
      return project
    },
    get program() {
      return built.path('cli/segregato.js')
    },
    run: (args, env = {}) =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, [built.path('cli/segregato.js'), ...args], {
          cwd: project,
          env: { ...PLAIN_ENVIRONMENT, ...env },
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        let [stdout, stderr] = ['', '']
        child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
        child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
        child.once('error', reject)
        child.once('close', (status) => resolve({ status, stdout, stderr }))
      }),
    write: (name, text) => writeFileSync(join(project, name), text),
    read: (name) => readFileSync(join(project, name), 'utf8'),
  }
}

/** A `database.yml` with one environment of these nodes. */
export const yamlOf = (
  nodes: Readonly<Record<string, object>>,
  settings: Readonly<Record<string, unknown>> = {},
): string => stringify({ development: { ...nodes, settings } })

/** What `check --json` prints. */
export interface CheckOutput {
  readonly ok: boolean
  readonly nodes: readonly Readonly<Record<string, unknown>>[]
  readonly findings: readonly {
    readonly severity: string
    readonly code: string
    readonly node: string
    readonly message: string
    readonly docs?: string
  }[]
}

/** The findings of one severity as `code node`. */
export const found = ({ findings }: CheckOutput, severity: string): readonly string[] =>
  findings.filter((one) => one.severity === severity).map(({ code, node }) => `${code} ${node}`)
