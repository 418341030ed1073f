#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { reportError } from './report-error.ts'
import { runProgram } from './program.ts'

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string }

// `segregato check | head`: whoever reads has had enough, which is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit()
  throw error
})

const args = process.argv.slice(2)
try {
  process.exitCode = await runProgram(args, version)
} catch (error) {
  process.exitCode = reportError(error, args.includes('--verbose'))
}
