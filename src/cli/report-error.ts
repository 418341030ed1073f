import { ConfigError, InvalidArgumentError, SegregatoError } from '../errors.ts'
import { formatFailure } from './format.ts'
import { colorsFor } from './output.ts'
import { WRONG_USAGE } from './program.ts'

/** Prints an error for a person, and answers the exit status. */
export const reportError = (error: unknown, verbose: boolean): number => {
  const colors = colorsFor(process.stderr)
  // What the library itself raises explains itself. Anything else may need its stack.
  const message = error instanceof SegregatoError ? error.message : formatFailure(error)
  console.error(colors.red(message))
  if (error instanceof ConfigError && /^File '[^']*' not found\.$/.test(message)) {
    console.error('segregato init writes one, and segregato dev does with servers for it')
  }
  if (verbose) console.error(colors.dim(stacksOf(error)))
  else if (!(error instanceof SegregatoError)) console.error('--verbose shows where it happened')
  return error instanceof ConfigError || error instanceof InvalidArgumentError ? WRONG_USAGE : 1
}

/** The stacks of an error and of what caused it: no properties, which may hold data. */
const stacksOf = (error: unknown): string => {
  const stacks: string[] = []
  for (let next: unknown = error; next instanceof Error && stacks.length < 5; next = next.cause) {
    stacks.push(next.stack ?? next.message)
  }
  return stacks.join('\nCaused by ')
}
