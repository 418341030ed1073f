import type { BalancerFunction, Balancing, CandidateView } from '../config/types.ts'

/**
 * Chooses one of the candidates that `accepts` lets through; `undefined` when none is. Candidates
 * keep their order between calls while nobody's state changes.
 */
export type Balancer = <C extends CandidateView>(
  candidates: readonly C[],
  accepts: (candidate: C) => boolean,
) => C | undefined

/** Each in turn. Fair to within one statement while the candidates stay the same. */
export const roundRobin = (): Balancer => {
  let cursor = 0
  return (candidates, accepts) => {
    for (let step = 0; step < candidates.length; step++) {
      const candidate = candidates[(cursor + step) % candidates.length]
      if (candidate === undefined || !accepts(candidate)) continue
      cursor = (cursor + step + 1) % candidates.length
      return candidate
    }
    return undefined
  }
}

/**
 * By weight, spread evenly: with 3 and 1 the order is a a b a, not a a a b. Smooth weighted round
 * robin as known from nginx: everybody gains its weight, the first pays the total.
 */
export const weighted = (): Balancer => {
  const credits = new Map<string, number>()
  return (candidates, accepts) => {
    let best: (typeof candidates)[number] | undefined
    let bestCredit = -Infinity
    let total = 0
    for (const candidate of candidates) {
      if (!accepts(candidate)) continue
      const credit = (credits.get(candidate.name) ?? 0) + candidate.weight
      credits.set(candidate.name, credit)
      total += candidate.weight
      if (credit > bestCredit) {
        best = candidate
        bestCredit = credit
      }
    }
    if (best !== undefined) credits.set(best.name, bestCredit - total)
    return best
  }
}

/** Of two random candidates the one with fewer statements in flight. */
export const leastBusy =
  (random: () => number = Math.random): Balancer =>
  (candidates, accepts) => {
    const accepted = candidates.filter((candidate) => accepts(candidate))
    if (accepted.length <= 1) return accepted[0]
    const first = Math.floor(random() * accepted.length)
    // A different one for sure: an offset of 1 to n - 1 from the first.
    const second = (first + 1 + Math.floor(random() * (accepted.length - 1))) % accepted.length
    const [one, other] = [accepted[first], accepted[second]]
    return one !== undefined && other !== undefined && other.inFlight < one.inFlight ? other : one
  }

/** A function of the application as a balancer. */
const custom =
  (choose: BalancerFunction): Balancer =>
  (candidates, accepts) => {
    const accepted = candidates.filter((candidate) => accepts(candidate))
    if (accepted.length === 0) return undefined
    const chosen = choose(accepted)
    // Compared by name: the function may have returned a copy. An unknown one is no choice.
    return accepted.find(({ name }) => name === chosen?.name) ?? accepted[0]
  }

/** The balancer that a configuration names. */
export const createBalancer = (balancing: Balancing | BalancerFunction): Balancer => {
  if (typeof balancing === 'function') return custom(balancing)
  switch (balancing) {
    case 'round_robin':
      return roundRobin()
    case 'weighted':
      return weighted()
    case 'least_busy':
      return leastBusy()
    default:
      return balancing satisfies never
  }
}
