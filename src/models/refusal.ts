import type { SegregatoError } from '../errors.ts'
import { KNOWN_NAMES } from './operations.ts'

type Refuse = (operation: string) => SegregatoError

/** By these a refused stream is read, with `for await` or by hand. */
const ITERATION = [Symbol.asyncIterator, 'next', 'return', 'throw'] as const

/**
 * A promise that rejects with `error`. Every name that callers chain on gives the same promise, so that
 * `PostCommand.where(…).limit(1)` rejects with the refusal, not with a TypeError beside it.
 */
const refused = (error: SegregatoError): Promise<never> => {
  const promise: Promise<never> = Promise.reject(error)
  const same = { value: () => promise }
  const chain: PropertyDescriptorMap = {}
  for (const name of [...KNOWN_NAMES, ...ITERATION]) chain[name] = same
  return Object.defineProperties(promise, chain)
}

const defineRefusals = (target: object, names: readonly string[], refuse: Refuse): void => {
  for (const name of names) {
    // Writable, since a row may have a column of this name.
    Object.defineProperty(target, name, {
      configurable: true,
      writable: true,
      value: () => refused(refuse(name)),
    })
  }
}

/** A base class on which the given names give a rejected promise; nothing is sent. */
export const refusing = <Statics extends string, Members extends string, Why>(
  names: { readonly class: readonly Statics[]; readonly instance: readonly Members[] },
  refuse: Refuse,
): (abstract new () => Readonly<Record<Members, Why>>) & Readonly<Record<Statics, Why>> => {
  const Refusing = class {
    static {
      defineRefusals(this, names.class, refuse)
      defineRefusals(this.prototype, names.instance, refuse)
    }
  }
  return Refusing as never
}
