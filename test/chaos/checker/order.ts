import type { Operation } from '../history.ts'
import type { Facts } from './facts.ts'
import { finding } from './finding.ts'
import type { Finding, FindingKind } from './finding.ts'

/** How far each key has come by a time, and the call that brought it there. */
type Reached = Map<string, { reach: number; by: string }>

/**
 * A read that starts after a write has been acknowledged sees it: on the primary whoever wrote, in
 * one process what that process wrote. Of several primaries each answers for its own timeline and
 * for those before it: no process can know what another one is told elsewhere.
 */
export function* checkRealTime(facts: Facts): Generator<Finding> {
  const writes = facts.history.operations
    .filter(({ outcome, steps }) => outcome === 'ok' && steps.some(({ type }) => type === 'append'))
    .toSorted((a, b) => a.returned! - b.returned!)
  const reads = facts.history.operations
    .filter((operation) => operation.outcome === 'ok' && facts.seen.has(operation))
    .toSorted((a, b) => a.invoked - b.invoked)
  const timelines = new Map<number, Reached>()
  const processes = new Map<string, Reached>()
  let next = 0
  for (const operation of reads) {
    for (; next < writes.length && writes[next]!.returned! < operation.invoked; next++) {
      const write = writes[next]!
      advance(facts, entryOf(timelines, timelineOf(write) ?? 0), write)
      advance(facts, entryOf(processes, write.process), write)
    }
    const { promised, process, isStale = false } = operation
    if (promised === 'strong') {
      const timeline = timelineOf(operation) ?? (timelines.size > 1 ? 0 : Infinity)
      for (const [each, reached] of timelines) {
        if (each <= timeline)
          yield* compare(facts, operation, reached, 'stale-primary-read', 'somebody')
      }
    }
    // What could not be met was said: the freshest replica answered.
    const own = processes.get(process)
    if (own !== undefined && (promised === 'strong' || (promised === 'process' && !isStale)))
      yield* compare(facts, operation, own, 'process-read-your-writes', 'the process')
  }
}

const entryOf = <Key>(map: Map<Key, Reached>, key: Key): Reached => {
  const known = map.get(key)
  if (known !== undefined) return known
  const fresh: Reached = new Map()
  map.set(key, fresh)
  return fresh
}

/** The timeline on which a call was answered, where a server has said it. */
const timelineOf = ({ steps }: Operation): number | undefined =>
  steps.find(({ timeline }) => timeline !== undefined)?.timeline

const advance = (facts: Facts, reached: Reached, write: Operation): void => {
  for (const step of write.steps) {
    const index = step.type === 'append' ? facts.attempts.get(step.value)?.index : undefined
    if (index === undefined || index < (reached.get(step.key)?.reach ?? 0)) continue
    reached.set(step.key, { reach: index + 1, by: write.id })
  }
}

function* compare(
  facts: Facts,
  operation: Operation,
  reached: Reached,
  kind: FindingKind,
  who: string,
): Generator<Finding> {
  for (const { read, reach } of facts.seen.get(operation) ?? []) {
    const known = reached.get(read.key)
    if (known === undefined || reach >= known.reach) continue
    yield finding(
      kind,
      `${read.key} was read with ${reach} of the values that stay, after ${who} had been told of ${known.reach}`,
      known.by,
      operation.id,
    )
  }
}

/** A process that has written on a timeline never writes on an older one afterwards. */
export function* checkOnePrimary({ history }: Facts): Generator<Finding> {
  const acknowledged = history.operations
    .flatMap((operation) =>
      operation.steps.flatMap((step) =>
        step.type === 'append' && step.timeline !== undefined && operation.returned !== undefined
          ? [{ operation, timeline: step.timeline, returned: operation.returned }]
          : [],
      ),
    )
    .toSorted((a, b) => a.returned - b.returned)
  const started = acknowledged.toSorted((a, b) => a.operation.invoked - b.operation.invoked)
  const newest = new Map<string, { timeline: number; by: string }>()
  let next = 0
  for (const { operation, timeline } of started) {
    for (; next < acknowledged.length && acknowledged[next]!.returned < operation.invoked; next++) {
      const earlier = acknowledged[next]!
      const { process } = earlier.operation
      if (earlier.timeline > (newest.get(process)?.timeline ?? 0))
        newest.set(process, { timeline: earlier.timeline, by: earlier.operation.id })
    }
    const known = newest.get(operation.process)
    if (known !== undefined && timeline < known.timeline)
      yield finding(
        'two-primaries',
        `${operation.process} wrote on timeline ${timeline} after it had written on ${known.timeline}`,
        known.by,
        operation.id,
      )
  }
}
