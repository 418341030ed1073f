import { parseArgs, type ParseArgsConfig } from 'node:util'
import { InvalidArgumentError } from '../errors.ts'

/** One command: gets the arguments after its name and answers the exit status. */
export type Command = (args: readonly string[]) => Promise<number>

/** `parseArgs` of Node.js, with mistakes as errors that a user can read. */
export const parseOptions = <const T extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ args: string[]; options: T }>>['values'] => {
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (cause) {
    throw new InvalidArgumentError(cause instanceof Error ? cause.message : String(cause), {
      cause,
    })
  }
}

/** A whole number within limits, from the text of an option. */
export const wholeNumber = (
  option: string,
  text: string,
  lowest: number,
  highest: number,
): number => {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= lowest && value <= highest) return value
  throw new InvalidArgumentError(
    `--${option} takes a whole number from ${lowest} to ${highest}, not '${text}'`,
  )
}
