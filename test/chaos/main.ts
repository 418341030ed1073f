/** `npm run chaos` and `npm run chaos:mutants`: see CONTRIBUTING.md. */
import { randomInt } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { bundle } from './build.ts'
import { check } from './checker/check.ts'
import type { Verdict } from './checker/check.ts'
import type { History } from './history.ts'
import { MUTANTS } from './mutants.ts'
import type { Mutant } from './mutants.ts'
import { report } from './report.ts'
import { run } from './run.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string' },
    seed: { type: 'string' },
    workers: { type: 'string', default: '3' },
    sessions: { type: 'string', default: '16' },
    faults: { type: 'string' },
    keep: { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    mutant: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
})

const HERE = resolve('test/chaos')
const OUTPUT = join(HERE, 'dist', String(process.pid))

const number = (text: string | undefined, otherwise: number): number => {
  const given = text === undefined ? otherwise : Number(text)
  if (Number.isInteger(given) && given >= 0) return given
  throw new Error(`'${text}' is no whole number`)
}

const seed = number(options.seed, randomInt(2 ** 31))
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const tell = options.quiet ? (): void => undefined : (line: string): void => say(`  ${line}`)

const program = (name: string): string => join(OUTPUT, `${name}.js`)

const runOnce = async (
  name: string,
  seconds: number,
  mutant?: Mutant,
): Promise<{ history: History; verdict: Verdict }> => {
  const worker = program(`worker-${name}`)
  await bundle(join(HERE, 'worker/main.ts'), worker, mutant)
  const history = await run({
    seed,
    seconds,
    workers: number(options.workers, 3),
    sessions: number(options.sessions, 16),
    faults: options.faults?.split(',') ?? mutant?.faults,
    recovers: mutant === undefined && seconds >= 60,
    programs: { worker, proxies: program('proxies') },
    directory: join(OUTPUT, name),
    tell,
  })
  const started = performance.now()
  const verdict = check(history)
  const ms = Math.round(performance.now() - started)
  tell(`checked ${history.operations.length} calls in ${ms} ms`)
  return { history, verdict }
}

const judge = async (): Promise<boolean> => {
  const seconds = number(options.seconds, 180)
  say(`chaos for ${seconds} s with --seed ${seed}`)
  const { history, verdict } = await runOnce('library', seconds)
  say(report(history, verdict))
  return verdict.findings.length === 0
}

/** Each mutant must be found: else a run without findings proves nothing. */
const judgeMutants = async (): Promise<boolean> => {
  const seconds = number(options.seconds, 25)
  say(`mutants for ${seconds} s each with --seed ${seed}`)
  let all = true
  for (const [index, mutant] of MUTANTS.entries()) {
    if (options.mutant !== undefined && !mutant.name.includes(options.mutant)) continue
    const { history, verdict } = await runOnce(`mutant-${index}`, seconds, mutant)
    const { findings } = verdict
    const proof = findings.filter(({ kind }) => mutant.caughtBy.includes(kind))
    const kinds = [...new Set(findings.map(({ kind }) => kind))].join(', ')
    say(
      `${proof.length > 0 ? 'caught' : 'NOT CAUGHT'}: the library that ${mutant.name}: ` +
        `${proof.length} of ${findings.length} findings in ${history.operations.length} calls (${kinds})`,
    )
    if (options.mutant !== undefined) say(report(history, verdict))
    all &&= proof.length > 0
  }
  return all
}

mkdirSync(OUTPUT, { recursive: true })
try {
  await bundle(join(HERE, 'proxies.ts'), program('proxies'))
  const passed = await (options.mutants || options.mutant !== undefined ? judgeMutants() : judge())
  say(passed ? 'passed' : `failed; the same faults again: --seed ${seed}`)
  process.exitCode = passed ? 0 : 1
} finally {
  if (options.keep) say(`the history is in ${OUTPUT}`)
  else rmSync(OUTPUT, { recursive: true, force: true })
}
