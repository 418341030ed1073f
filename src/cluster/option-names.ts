import { InvalidArgumentError } from '../errors.ts'

/**
 * A misspelt option would be left out silently: `{ readonly: true }` would give a transaction that writes.
 *
 * @throws InvalidArgumentError for a name that is no option, and for options that are no object
 */
export const checkOptionNames = (
  what: string,
  options: unknown,
  names: readonly string[],
): void => {
  if (typeof options !== 'object' || options === null)
    throw new InvalidArgumentError(`${what} takes an object of options`)
  const wrong = Object.keys(options).find((name) => !names.includes(name))
  if (wrong === undefined) return
  throw new InvalidArgumentError(
    `${what} has no option ${JSON.stringify(wrong)}. There are: ${names.join(', ')}`,
  )
}

/** @throws InvalidArgumentError for what cannot be run, before anything is begun for it */
export const checkFunction = (what: string, fn: unknown): void => {
  if (typeof fn !== 'function') throw new InvalidArgumentError(`${what} takes a function`)
}
