import { inspect } from 'node:util'

/** What a secret is made from: fixed text, or a function that is asked each time it is needed. */
export type SecretSource =
  string | undefined | (() => string | undefined | Promise<string | undefined>)

/** A value that shows in no log, message, `inspect` or JSON. */
export class Secret {
  readonly #source: SecretSource

  constructor(source: SecretSource) {
    this.#source = source
  }

  /** The value, asked anew at each call when the source is a function. */
  async reveal(): Promise<string | undefined> {
    return typeof this.#source === 'function' ? this.#source() : this.#source
  }

  /** The value when it is fixed text, without asking anybody; `undefined` when it must be asked for. */
  text(): string | undefined {
    return typeof this.#source === 'function' ? undefined : this.#source
  }

  toString(): string {
    return '[redacted]'
  }

  toJSON(): string {
    return '[redacted]'
  }

  [inspect.custom](): string {
    return '[redacted]'
  }
}
