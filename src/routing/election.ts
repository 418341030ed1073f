import type { ServerState } from '../nodes/state.ts'

/** A server that has answered in this round. */
export interface Answer<N> {
  readonly node: N
  readonly state: ServerState
}

/** What was last confirmed. */
export interface Incumbent<N> {
  /** The last primary; before the first election the one that the configuration names. */
  readonly node: N
  /** Of the whole cluster; `undefined`: not known yet, or denied. */
  readonly systemIdentifier: string | undefined
  /** The timeline on which writes were last confirmed; `undefined`: not known yet, or denied. */
  readonly timeline: number | undefined
}

/** Who accepts writes. */
export type Verdict<N> =
  | { readonly kind: 'primary'; readonly node: N; readonly historyLost: boolean }
  /** Nobody does. `outdated`: servers that would accept them, on a history that is over. */
  | { readonly kind: 'none'; readonly outdated: readonly N[] }
  /** Several do, and nothing says which of them is right. */
  | { readonly kind: 'split-brain'; readonly nodes: readonly N[] }

/**
 * Decides which server is the primary, from what all servers said in one round. Pure.
 *
 * A server that is not in recovery and lets its sessions write claims to be it. A promotion always
 * begins a new timeline, so a claim on an older timeline than the last confirmed one is a server of
 * the past that came back, and one on the same timeline at another place is a copy that was started
 * by mistake. Of two that claim it the confirmed one stays, if no timeline is newer than its own;
 * else nobody gets writes. Only when every node answers and none knows the confirmed timeline any
 * more has the cluster itself gone back to an older history, and its primary is followed.
 *
 * @param nodes - how many nodes there are, those that have not answered included
 * @param oneServer - `allow_same_server`: nodes of one identity are one server
 */
export const elect = <N>(
  answers: readonly Answer<N>[],
  incumbent: Incumbent<N>,
  nodes: number,
  oneServer: boolean,
): Verdict<N> => {
  const ours = answers.filter(({ state }) => isOurs(state, incumbent.systemIdentifier))
  const claims = distinct(ours.filter(isClaim), incumbent.node)
  const own = claims.find(({ node }) => node === incumbent.node)
  if (oneServer && claims.length > 0) return primary((own ?? claims[0]!).node)
  const current = claims.filter((claim) => isCurrent(claim, incumbent))
  const [first, ...others] = current
  if (first === undefined) return noneOrGoneBack(claims, ours, incumbent, nodes)
  if (others.length === 0) return primary(first.node)
  const newest = Math.max(...current.map(({ state }) => state.timeline ?? 0))
  const stays = current.find(({ node }) => node === incumbent.node)
  if (stays !== undefined && (stays.state.timeline ?? 0) >= newest) return primary(stays.node)
  return { kind: 'split-brain', nodes: current.map(({ node }) => node) }
}

const primary = <N>(node: N, historyLost = false): Verdict<N> => ({
  kind: 'primary',
  node,
  historyLost,
})

const isOurs = (state: ServerState, identifier: string | undefined): boolean =>
  identifier === undefined ||
  state.systemIdentifier === undefined ||
  state.systemIdentifier === identifier

const isClaim = <N>({ state }: Answer<N>): boolean => !state.inRecovery && !state.readOnly

/** One server that is reached under two names claims once. */
const distinct = <N>(claims: readonly Answer<N>[], preferred: N): readonly Answer<N>[] => {
  const byServer = new Map<unknown, Answer<N>>()
  for (const claim of claims) {
    const server = claim.state.startedAt ?? claim.node
    if (!byServer.has(server) || claim.node === preferred) byServer.set(server, claim)
  }
  return [...byServer.values()]
}

/** Whether a claim continues the confirmed history. What is not known does not count against it. */
const isCurrent = <N>({ node, state }: Answer<N>, incumbent: Incumbent<N>): boolean => {
  if (state.timeline === undefined || incumbent.timeline === undefined) return true
  if (node === incumbent.node) return state.timeline >= incumbent.timeline
  return state.timeline > incumbent.timeline
}

const noneOrGoneBack = <N>(
  claims: readonly Answer<N>[],
  ours: readonly Answer<N>[],
  { timeline = 0 }: Incumbent<N>,
  nodes: number,
): Verdict<N> => {
  const [only, ...others] = claims
  const allAnswered = ours.length === nodes
  const forgotten = ours.every(({ state }) => (state.timeline ?? Infinity) < timeline)
  if (only !== undefined && others.length === 0 && allAnswered && forgotten)
    return primary(only.node, true)
  return { kind: 'none', outdated: claims.map(({ node }) => node) }
}
