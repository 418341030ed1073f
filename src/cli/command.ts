import type { LoadOptions } from '../config/input.ts'
import { InvalidArgumentError } from '../errors.ts'

/** The options that every command takes. */
export interface GlobalOptions {
  /** The path of the configuration file. */
  readonly config?: string
  /** The environment of the file. */
  readonly env?: string
  /** Errors with their stack, and what is in order too. */
  readonly verbose?: boolean
}

/** What `loadConfig()` takes from the global options. */
export const sourceOptions = ({ config, env }: GlobalOptions): LoadOptions => ({ config, env })

/** For an option's value: a whole number within limits. */
export const wholeNumber =
  (option: string, lowest: number, highest: number) =>
  (text: string): number => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= lowest && value <= highest) return value
    throw new InvalidArgumentError(
      `--${option} takes a whole number from ${lowest} to ${highest}, not '${text}'`,
    )
  }

/** For a command that does not read the configuration. */
export const refuseSource = (command: string, { config, env }: GlobalOptions): void => {
  const given = config !== undefined ? '--config' : env !== undefined ? '--env' : undefined
  if (given === undefined) return
  throw new InvalidArgumentError(`'${command}' reads no configuration and takes no ${given}`)
}
