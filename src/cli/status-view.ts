import type { ClusterConfig } from '../config/types.ts'
import { formatAddress, formatBytes, formatMs } from './format.ts'
import { alignRows } from './output.ts'
import type { Cell, Colors } from './output.ts'
import type { Sample } from './sampler.ts'
import { sparkline } from './sparkline.ts'

/** The graphs' scale is never finer than this, so that a jitter of milliseconds looks like one. */
const LEAST_TOP_MS = 100

/** As many samples as the widest graph shows. */
const SAMPLES_KEPT = 30

/** The lags of the last samples of each node, for the graphs. */
export class LagHistory {
  readonly #lags = new Map<string, (number | undefined)[]>()

  add(samples: readonly Sample[]): void {
    for (const { node, lagMs } of samples) {
      const lags = this.#lags.get(node.name) ?? []
      lags.push(lagMs)
      if (lags.length > SAMPLES_KEPT) lags.shift()
      this.#lags.set(node.name, lags)
    }
  }

  of(name: string): readonly (number | undefined)[] {
    return this.#lags.get(name) ?? []
  }

  /** The scale of all graphs. */
  get topMs(): number {
    const known = [...this.#lags.values()].flat().filter((lag) => lag !== undefined)
    return Math.max(LEAST_TOP_MS, ...known)
  }
}

/** Health in words, and whether it is good. */
export const healthOf = ({
  node,
  role,
  failure,
  replayPaused,
}: Sample): { readonly text: string; readonly level: 'good' | 'fair' | 'bad' } => {
  if (failure !== undefined) return { text: `no answer: ${failure}`, level: 'bad' }
  if (role !== node.role) return { text: `is a ${role}`, level: 'bad' }
  return replayPaused
    ? { text: 'replay paused', level: 'fair' }
    : { text: 'healthy', level: 'good' }
}

/** Lag in words: `0 B, 3 ms`; a least one as `> 3 s`. */
export const lagText = ({ node, role, lagBytes, lagMs, lagIsLeast }: Sample): string => {
  if (node.role === 'primary' || role === 'primary') return '-'
  if (lagBytes === undefined || lagMs === undefined) return 'unknown'
  return `${formatBytes(lagBytes)}, ${lagIsLeast ? '> ' : ''}${formatMs(lagMs)}`
}

/** What the live table has besides: a graph of each replica's lag, and a terminal to fit into. */
interface Live {
  readonly lags: LagHistory
  /** How many columns the terminal has. */
  readonly columns: number
}

/** Below this the addresses, which do not change, make room for what does. */
const NARROW = 100

const GRAPH_WIDTH = { least: 8, most: SAMPLES_KEPT } as const

/** About what the other columns of a narrow table need. */
const OTHERS_WIDTH = 60

/** The table of all nodes; the live one ends with graphs, which share one scale. */
export const statusTable = (
  samples: readonly Sample[],
  colors: Colors,
  live?: Live,
): readonly string[] => {
  const dim = (text: string): Cell => ({ text, paint: colors.dim })
  const paints = { good: colors.green, fair: colors.yellow, bad: colors.red }
  const isNarrow = live !== undefined && live.columns < NARROW
  const width = Math.min(
    GRAPH_WIDTH.most,
    Math.max(GRAPH_WIDTH.least, (live?.columns ?? 0) - OTHERS_WIDTH),
  )
  const top = live?.lags.topMs ?? 0
  const rows = samples.map((sample) => {
    const { node } = sample
    const health = healthOf(sample)
    return [
      { text: node.name, paint: colors.bold },
      node.role,
      ...(isNarrow ? [] : [dim(formatAddress(node))]),
      lagText(sample),
      { text: health.text, paint: paints[health.level] },
      ...(live === undefined || node.role === 'primary'
        ? []
        : [{ text: sparkline(live.lags.of(node.name), width, top), paint: colors.cyan }]),
    ]
  })
  const address = isNarrow ? [] : ['address']
  const graph = live === undefined ? [] : [`lag, 0 to ${formatMs(top)}`]
  const heads = ['node', 'role', ...address, 'lag', 'health', ...graph]
  return alignRows([heads.map(dim), ...rows])
}

/** A line per node for programs and files. */
export const statusLines = (samples: readonly Sample[], time: string): readonly string[] =>
  samples.map((sample) =>
    [time, sample.node.name, sample.node.role, healthOf(sample).text, lagText(sample)].join('\t'),
  )

/** What `status --json` prints; `undefined` is unknown and becomes `null`. */
export const describeSamples = (
  samples: readonly Sample[],
  { environment, file }: ClusterConfig,
): object => ({
  at: new Date().toISOString(),
  environment,
  file,
  nodes: samples.map((sample) => {
    const { node, role, failure, replayPaused, lagBytes, lagMs, lagIsLeast } = sample
    const health = healthOf(sample)
    return {
      node: node.name,
      configuredRole: node.role,
      host: node.host,
      port: node.port,
      role,
      ok: health.level === 'good',
      health: health.text,
      failure,
      replayPaused,
      lagBytes,
      lagMs: lagMs && Math.round(lagMs),
      lagIsLeast,
    }
  }),
})
