/** Labels of one sample, by name. */
export type Labels = Readonly<Record<string, string>>

/** One number of a metric. */
export interface Sample {
  /** Behind the metric's name; histograms have several. */
  readonly suffix?: '_bucket' | '_sum' | '_count'
  readonly labels: Labels
  readonly value: number
}

/** A metric with all its samples. */
export interface Metric {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly samples: readonly Sample[]
}

/** The media type of the format. */
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Prometheus' text format 0.0.4. `constant` labels stand in each sample. */
export const formatMetrics = (metrics: readonly Metric[], constant: Labels = {}): string =>
  metrics.map((metric) => formatMetric(metric, constant)).join('')

const formatMetric = ({ name, type, help, samples }: Metric, constant: Labels): string => {
  const lines = [`# HELP ${name} ${escape(help)}`, `# TYPE ${name} ${type}`]
  for (const { suffix = '', labels, value } of samples)
    lines.push(`${name}${suffix}${formatLabels({ ...constant, ...labels })} ${formatNumber(value)}`)
  return `${lines.join('\n')}\n`
}

const formatLabels = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${escape(value).replaceAll('"', String.raw`\"`)}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** A line ends at each line feed, whatever is in it. */
const escape = (text: string): string =>
  text.replaceAll('\\', String.raw`\\`).replaceAll('\n', String.raw`\n`)

const formatNumber = (value: number): string => {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}

/** Counts by labels; the labels of one set all have the same names in the same order. */
export class Counters {
  readonly #samples = new Map<string, { readonly labels: Labels; value: number }>()

  add(labels: Labels): void {
    const key = JSON.stringify(Object.values(labels))
    const known = this.#samples.get(key)
    if (known === undefined) this.#samples.set(key, { labels, value: 1 })
    else known.value++
  }

  get samples(): readonly Sample[] {
    return [...this.#samples.values()]
  }
}

/** Counts values by their size. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  /** @param bounds - the upper bounds of the buckets, rising, without infinity */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    const found = this.#bounds.findIndex((bound) => value <= bound)
    const bucket = found < 0 ? this.#bounds.length : found
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sum += value
  }

  get samples(): readonly Sample[] {
    let count = 0
    const buckets = this.#counts.map((own, index): Sample => {
      count += own
      const le = formatNumber(this.#bounds[index] ?? Infinity)
      return { suffix: '_bucket', labels: { le }, value: count }
    })
    return [
      ...buckets,
      { suffix: '_sum', labels: {}, value: this.#sum },
      { suffix: '_count', labels: {}, value: count },
    ]
  }
}
