import { AsyncLocalStorage } from 'node:async_hooks'
import type { Node } from '../nodes/node.ts'
import type { Session } from '../routing/session.ts'
import type { Scope } from './scope.ts'
import type { Target } from './statement.ts'

/** What holds for the code that runs now: innermost first, one entry per scope or override. */
interface Frame {
  /** The cluster's core, which only has to be told apart from others here. */
  readonly core: object
  readonly scope?: Scope
  readonly using?: Target
  readonly session?: Session<Node>
  readonly parent: Frame | undefined
}

const frames = new AsyncLocalStorage<Frame>()

/** The innermost transaction or snapshot of this cluster around the caller. */
export const currentScope = (core: object): Scope | undefined => {
  let frame = frames.getStore()
  while (frame !== undefined) {
    if (frame.core === core && frame.scope !== undefined) return frame.scope
    frame = frame.parent
  }
  return undefined
}

/**
 * The scope in which something that belongs to `scope` runs now: the one inside it that is around the
 * caller, since that one keeps `scope` from sending anything itself.
 */
export const innermostIn = (core: object, scope: Scope): Scope => {
  const current = currentScope(core)
  return current !== undefined && scope.contains(current) ? current : scope
}

/** The innermost `using()` of this cluster around the caller. */
export const currentTarget = (core: object): Target | undefined => {
  let frame = frames.getStore()
  while (frame !== undefined) {
    if (frame.core === core && frame.using !== undefined) return frame.using
    frame = frame.parent
  }
  return undefined
}

/** The innermost `session()` of this cluster around the caller. */
export const currentSession = (core: object): Session<Node> | undefined => {
  let frame = frames.getStore()
  while (frame !== undefined) {
    if (frame.core === core && frame.session !== undefined) return frame.session
    frame = frame.parent
  }
  return undefined
}

/**
 * Runs a function with a scope or an override around it. What it returns is awaited inside: a query of
 * a model is only sent when it is awaited, and must not get out of the scope by that.
 */
export const within = <T>(
  entry:
    | { readonly core: object; readonly scope: Scope }
    | { readonly core: object; readonly using: Target }
    | { readonly core: object; readonly session: Session<Node> },
  fn: () => PromiseLike<T>,
): Promise<T> => frames.run({ ...entry, parent: frames.getStore() }, async () => fn())
