import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import typescript from 'typescript'
import type { Servers } from './contract-subjects.ts'

/** What a child process is asked to do. */
export interface Task {
  /** `pg.Pool` on the primary or on the replica, or a pool of the cluster. */
  readonly subject: 'pg.Pool on the primary' | 'pg.Pool on the replica' | 'writer' | 'reader'
  readonly servers: Servers
  readonly scenario: string
}

/** How a child process ended. */
export interface Ended {
  /** What it reported, in order. */
  readonly reported: readonly unknown[]
  /** `exit 0`, `exit 1`, or the signal that ended it: SIGKILL when it would not end by itself. */
  readonly ended: string
  /** The message of the error that nobody caught. */
  readonly uncaught?: string
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SOURCES = ['src', 'test/support', 'test/integration/pool-contract']

/** JavaScript that child processes can run, made once: Node 20 runs no TypeScript, and compiling takes seconds. */
export interface CompiledContract {
  readonly child: string
  remove(): Promise<void>
}

export const compileContract = async (): Promise<CompiledContract> => {
  // Below the project, where its packages are found.
  const cache = join(ROOT, 'node_modules', '.cache')
  await mkdir(cache, { recursive: true })
  const directory = await mkdtemp(join(cache, 'pool-contract-'))
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
  for (const source of SOURCES) {
    for (const file of await readdir(join(ROOT, source), { recursive: true })) {
      if (file.endsWith('.ts')) await compile(join(source, file), directory)
    }
  }
  return {
    child: join(directory, 'test/integration/pool-contract/child.js'),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}

const compile = async (file: string, directory: string): Promise<void> => {
  const { outputText } = typescript.transpileModule(await readFile(join(ROOT, file), 'utf8'), {
    compilerOptions: {
      target: typescript.ScriptTarget.ES2022,
      module: typescript.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  })
  const output = join(directory, file.replace(/\.ts$/, '.js'))
  await mkdir(dirname(output), { recursive: true })
  await writeFile(output, outputText)
}

/** Far more than any scenario takes: only ends what would hang for ever. */
const LIMIT_MS = 20_000

/** Runs one scenario in a process of its own and waits for its end. */
export const runInChild = ({ child: file }: CompiledContract, task: Task): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], {
      env: { ...process.env, NODE_OPTIONS: '', CONTRACT_TASK: JSON.stringify(task) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(limit)
      const reported = output
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as unknown)
      const uncaught = /^(?:\w*Error|error): (.*)$/m.exec(errors)?.[1]
      resolve({
        reported,
        ended: signal ?? `exit ${code}`,
        ...(code === 0 || uncaught === undefined ? {} : { uncaught }),
      })
    })
  })
