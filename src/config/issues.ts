import { ConfigError } from '../errors.ts'
import type { ConfigIssue } from '../errors.ts'
import type { Place } from './tree.ts'

/** Collects mistakes, so that all of them are reported at once. */
export class Issues {
  readonly #issues: ConfigIssue[] = []
  readonly #file: string | undefined

  constructor(file?: string) {
    this.#file = file
  }

  add(message: string, place?: Place): void {
    const path = place?.path.join('.')
    this.#issues.push({
      message,
      ...(path ? { path } : {}),
      ...(this.#file === undefined ? {} : { file: this.#file }),
      ...(place?.line === undefined ? {} : { line: place.line }),
      ...(place?.column === undefined ? {} : { column: place.column }),
    })
  }

  get count(): number {
    return this.#issues.length
  }

  /** @throws {@link ConfigError} with all mistakes, in the order of the file. */
  throwIfAny(): void {
    if (this.#issues.length > 0) throw new ConfigError(this.#issues.toSorted(byPlace))
  }
}

/** The error for one mistake after which nothing else can be looked at. */
export const mistake = (message: string, path?: string): ConfigError =>
  new ConfigError([{ message, ...(path === undefined ? {} : { path }) }])

const byPlace = (a: ConfigIssue, b: ConfigIssue): number =>
  (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)
