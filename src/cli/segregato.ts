#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { SegregatoError } from '../errors.ts'
import type { Command } from './command.ts'

/** Each command is a file of its own and is loaded when it is called. */
const COMMANDS: Readonly<Record<string, { summary: string; load: () => Promise<Command> }>> = {
  dev: {
    summary: 'Start a PostgreSQL primary with replicas for development, until Ctrl-C',
    load: async () => (await import('./dev.ts')).dev,
  },
}

const help = (): string => {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length))
  const lines = Object.entries(COMMANDS).map(
    ([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`,
  )
  return `Usage: segregato <command> [options]

Commands:
${lines.join('\n')}

segregato <command> --help shows the options of a command; segregato --version the version.`
}

const version = (): string => {
  const file = new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

const main = async ([name, ...args]: readonly string[]): Promise<number> => {
  if (name === '--version') {
    console.log(version())
    return 0
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(help())
    return name === undefined ? 2 : 0
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    console.error(`There is no command '${name}'.\n\n${help()}`)
    return 2
  }
  return (await command.load())(args)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  // What the library itself raises explains itself; anything else is a defect, and its stack helps.
  console.error(error instanceof SegregatoError ? error.message : error)
  process.exitCode = 1
}
