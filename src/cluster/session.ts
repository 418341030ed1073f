import type { Consistency } from '../config/types.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import type { Position } from '../nodes/position.ts'
import { Session } from '../routing/session.ts'
import { readToken, signToken, tokenProblem } from '../routing/token.ts'
import type { TokenKey, TokenProblem } from '../routing/token.ts'
import { within } from './context.ts'
import type { Core } from './core.ts'
import { checkOptionNames } from './option-names.ts'
import { publish } from './events.ts'
import type { TokenEvent } from './events.ts'
import { checkWishes } from './wishes.ts'

/** How a session is opened. */
export interface SessionOptions {
  /** What an earlier session has written and seen, from `cluster.token()`; one that is not ours counts as none. */
  readonly token?: string | undefined
  /** What its reads see, unless a call says otherwise. @defaultValue the setting `consistency` */
  readonly consistency?: Consistency | undefined
  /**
   * How far behind the primary a replica may be to serve its reads, in milliseconds, unless a call says
   * otherwise. @defaultValue the setting `max_lag_ms`
   */
  readonly maxLagMs?: number | undefined
}

/**
 * A session as its function gets it. It may be used where the session is not around the caller, such
 * as in a callback of a server, and after the function has ended.
 */
export interface OpenSession {
  /** Whether something was written in it. Known at once; no server is asked. */
  readonly hasWritten: boolean
  /** Whether something was read in it. Known at once; no server is asked. */
  readonly hasRead: boolean
  /**
   * The session's token, when it has come further than the token it was opened with; `undefined` when
   * it has not, or no position is known. Asks how far, unless that is known.
   */
  movedToken(): Promise<string | undefined>
}

/** Runs a function in a causal scope of its own: what it has written or seen, it never un-sees. */
export const runSession = async <T>(
  core: Core,
  keys: readonly TokenKey[],
  fn: (session: OpenSession) => PromiseLike<T>,
  options: SessionOptions,
): Promise<T> => {
  core.assertOpen()
  checkOptionNames('session()', options, ['token', 'consistency', 'maxLagMs'])
  const { token, consistency, maxLagMs } = options
  checkWishes({ consistency, maxLagMs })
  const session = new Session<Node>(true, { consistency, maxLagMs })
  if (token !== undefined) await resume(core, keys, session, token)
  const { position: start } = session
  const open: OpenSession = {
    get hasWritten() {
      return session.hasWritten
    },
    get hasRead() {
      return session.lastRead !== undefined
    },
    movedToken: async () => {
      const position = await core.consistency.sight.positionOf(session)
      const hasMoved = position?.lsn !== start?.lsn || position?.timeline !== start?.timeline
      return hasMoved ? signPosition(position, keys) : undefined
    },
  }
  return within({ core, session }, async () => fn(open))
}

/**
 * Takes a token's position over. One that is signed by us and stands for another cluster, for what the
 * primary has never reached, or is too old, is not believed and never waited for: the primary is asked
 * while it has room for such reads, else they are ordinary ones.
 */
const resume = async (
  core: Core,
  keys: readonly TokenKey[],
  session: Session<Node>,
  token: string,
): Promise<void> => {
  const content = readToken(token, keys)
  if (content === undefined) {
    refuse(core, 'invalid')
    return
  }
  const { consistency, config, failover } = core
  // Another process has seen a promotion that this one has not: the primary is not who it was.
  if (content.position.timeline > (failover.timeline ?? Infinity)) await failover.look()
  const judge = (present: Position | undefined): TokenProblem | undefined =>
    tokenProblem(content, { nowMs: Date.now(), maxAgeMs: config.settings.tokenMaxAgeMs, present })
  // What the primary has told last is enough for what it has reached by then.
  const known = consistency.latest()
  const isKnown = known?.timeline === content.position.timeline && judge(known) === undefined
  const problem = isKnown ? undefined : judge(await consistency.present())
  if (problem === undefined) await consistency.resume(session, content.position)
  else {
    refuse(core, problem)
    session.prefersPrimary = true
  }
}

const refuse = (core: Core, problem: TokenEvent['problem']): void => {
  core.counts.refusedTokens++
  publish(core.events, 'token', { problem })
}

/** The present session's position as a signed string. */
export const currentToken = async (
  core: Core,
  keys: readonly TokenKey[],
): Promise<string | undefined> => {
  core.assertOpen()
  return signPosition(
    await core.consistency.sight.positionOf(core.consistency.sessions.current),
    keys,
  )
}

const signPosition = (
  position: Position | undefined,
  [key]: readonly TokenKey[],
): string | undefined => {
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
