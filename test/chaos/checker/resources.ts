import type { Heap } from '../history.ts'
import type { Facts } from './facts.ts'
import { finding } from './finding.ts'
import type { Finding } from './finding.ts'

/** Nothing is held when nothing runs, and nobody complains. */
export function* checkResources({ history }: Facts): Generator<Finding> {
  for (const { process, held, backends, idleInTransaction } of history.leftovers) {
    for (const { node, purpose, total, idle, waiting } of held) {
      if (total === idle && waiting === 0) continue
      yield finding(
        'connection-leak',
        `${process} still holds ${total - idle} of ${total} connections to ${node} for ${purpose}, ${waiting} calls wait`,
      )
    }
    for (const [node, count] of Object.entries(backends)) {
      const own = held.filter((one) => one.node === node).reduce((sum, { total }) => sum + total, 0)
      if (count > own)
        yield finding(
          'connection-leak',
          `${node} has ${count} connections of ${process}, which knows of ${own}`,
        )
    }
    if (idleInTransaction > 0)
      yield finding(
        'idle-in-transaction',
        `${idleInTransaction} connections of ${process} are idle in a transaction`,
      )
  }
  for (const { process, message } of history.complaints)
    yield finding('process-complaint', `${process}: ${message}`)
  yield* checkHeaps(history.heaps)
}

/** Fewer say nothing: the first minute fills caches and compiles. */
const LEAST_SAMPLES = 8
/** Growth from the second quarter of the run to the last one that is still noise. */
const TOLERATED = { bytes: 6 * 1024 ** 2, share: 0.25 }

function* checkHeaps(heaps: readonly Heap[]): Generator<Finding> {
  const processes = new Map<string, Heap[]>()
  for (const heap of heaps) {
    const known = processes.get(heap.process)
    if (known === undefined) processes.set(heap.process, [heap])
    else known.push(heap)
  }
  for (const [process, samples] of processes) {
    if (samples.length < LEAST_SAMPLES) continue
    const bytes = samples.toSorted((a, b) => a.at - b.at).map((sample) => sample.bytes)
    const quarter = Math.floor(bytes.length / 4)
    const early = median(bytes.slice(quarter, quarter * 2))
    const late = median(bytes.slice(-quarter))
    if (late - early > Math.max(TOLERATED.bytes, early * TOLERATED.share))
      yield finding(
        'memory-leak',
        `the heap of ${process} grew from ${megabytes(early)} to ${megabytes(late)} MB`,
      )
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

const megabytes = (bytes: number): string => (bytes / 1024 ** 2).toFixed(1)
