import { InvalidArgumentError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { Session } from '../routing/session.ts'
import { readToken, signToken } from '../routing/token.ts'
import type { TokenKey } from '../routing/token.ts'
import { within } from './context.ts'
import type { Core } from './core.ts'

/** How a session is opened. */
export interface SessionOptions {
  /** What an earlier session has written and seen, from `cluster.token()`; one that is not ours counts as none. */
  readonly token?: string | undefined
}

/** Runs a function in a causal scope of its own: what it has written or seen, it never un-sees. */
export const runSession = async <T>(
  core: Core,
  keys: readonly TokenKey[],
  fn: () => PromiseLike<T>,
  { token }: SessionOptions,
): Promise<T> => {
  core.assertOpen()
  const session = new Session<Node>(true)
  if (token !== undefined) await resume(core, keys, session, token)
  return within({ core, session }, fn)
}

/**
 * Takes a token's position over. One that is signed by us and means another cluster, or something
 * that the primary has never reached, is not believed and never waited for: only the primary is
 * sure to show what it may mean.
 */
const resume = async (
  core: Core,
  keys: readonly TokenKey[],
  session: Session<Node>,
  token: string,
): Promise<void> => {
  const content = readToken(token, keys)
  if (content === undefined) return
  const present = await core.consistency.primaryPosition()
  const { position } = content
  const believable =
    present === undefined ||
    (position.systemIdentifier === present.systemIdentifier &&
      position.timeline === present.timeline &&
      position.lsn <= present.lsn)
  if (believable) session.reached(position)
  else session.reachedUnknown(Infinity)
}

/** The present session's position as a signed string. */
export const currentToken = async (
  core: Core,
  [key]: readonly TokenKey[],
): Promise<string | undefined> => {
  core.assertOpen()
  const position = await core.consistency.positionOf(core.consistency.session())
  if (position === undefined || key === undefined) return undefined
  return signToken({ position, issuedAt: Math.floor(Date.now() / 1_000) }, key)
}

/** @throws InvalidArgumentError for keys that could not sign or would not be told apart */
export const checkTokenKeys = (keys: readonly TokenKey[]): readonly TokenKey[] => {
  for (const { id, secret } of keys) {
    if (!/^[A-Za-z0-9]{1,8}$/.test(id)) {
      throw new InvalidArgumentError(
        `the id of a token key must be 1 to 8 letters or digits, not '${id}'`,
      )
    }
    if (secret.length < 16)
      throw new InvalidArgumentError(
        `the secret of token key '${id}' must have at least 16 characters`,
      )
  }
  if (new Set(keys.map(({ id }) => id)).size !== keys.length) {
    throw new InvalidArgumentError('two token keys have the same id')
  }
  return keys
}
