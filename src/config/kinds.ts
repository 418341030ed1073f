import type { SecretSource } from './secret.ts'
import type { BalancerFunction } from './types.ts'

/** What a key's value may be. */
export type Kind =
  /** Text that is not empty. */
  | { readonly type: 'text' }
  /** Text that no message shows; in objects also a function that answers with it. */
  | { readonly type: 'secret'; readonly function?: boolean }
  | { readonly type: 'integer'; readonly min: number; readonly max: number }
  /** `above` is not part of the range, `min` and `max` are. */
  | {
      readonly type: 'number'
      readonly min?: number
      readonly above?: number
      readonly max: number
    }
  | { readonly type: 'boolean' }
  | { readonly type: 'choice'; readonly choices: readonly string[]; readonly function?: boolean }
  | { readonly type: 'texts' }
  | { readonly type: 'parameters' }
  | { readonly type: 'ssl' }

/** How a connection is secured, in libpq's words. */
export const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof SSL_MODES)[number]

/** What the key `ssl` says: a mode, and certificates as path or text. */
export interface SslChoice {
  readonly mode: SslMode
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** The type of a value that was checked. */
export type ValueOf<K extends Kind> = K extends { type: 'text' }
  ? string
  : K extends { type: 'secret' }
    ? K extends { function: true }
      ? NonNullable<SecretSource>
      : string
    : K extends { type: 'integer' | 'number' }
      ? number
      : K extends { type: 'boolean' }
        ? boolean
        : K extends { type: 'choice'; choices: readonly (infer Choice)[] }
          ? Choice | (K extends { function: true } ? BalancerFunction : never)
          : K extends { type: 'texts' }
            ? readonly string[]
            : K extends { type: 'parameters' }
              ? Readonly<Record<string, string>>
              : SslChoice

/** One key: what it may be, what it means, and what holds without it. */
export interface KeyDefinition {
  readonly kind: Kind
  /** One sentence, shown by editors. */
  readonly description: string
  /** What holds without the key, where that is one value. */
  readonly default?: unknown
}

export type KeyDefinitions = Readonly<Record<string, KeyDefinition>>
