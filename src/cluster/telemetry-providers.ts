import type { Meter, MeterProvider, Tracer, TracerProvider } from './telemetry-api.ts'

/**
 * Where OpenTelemetry's API keeps what an application has registered, so that all copies of it in a
 * process find it. We look there as one more copy would: the package is never imported, which would
 * delay the first statement and be one more thing for bundlers to resolve, and a process in which
 * nothing is registered pays for one look at a global.
 */
const REGISTRY = Symbol.for('opentelemetry.js.api.1')

interface Registry {
  readonly trace?: TracerProvider
  readonly metrics?: MeterProvider
}

const registry = (): Registry | undefined =>
  (globalThis as { readonly [REGISTRY]?: Registry })[REGISTRY]

/** The name of what made a span or a measurement. */
const SCOPE_NAME = 'segregato'

/** Our tracer and meter of the registered providers, made anew when others are registered. */
export class Providers {
  #trace: { readonly provider: TracerProvider; readonly tracer: Tracer } | undefined
  #metrics: { readonly provider: MeterProvider; readonly meter: Meter } | undefined

  /** Whether anything is registered. */
  get any(): boolean {
    const present = registry()
    return present !== undefined && (present.trace ?? present.metrics) !== undefined
  }

  get tracer(): Tracer | undefined {
    const provider = registry()?.trace
    if (provider === undefined) return undefined
    if (this.#trace?.provider !== provider)
      this.#trace = { provider, tracer: provider.getTracer(SCOPE_NAME) }
    return this.#trace.tracer
  }

  get meter(): Meter | undefined {
    const provider = registry()?.metrics
    if (provider === undefined) return undefined
    if (this.#metrics?.provider !== provider)
      this.#metrics = { provider, meter: provider.getMeter(SCOPE_NAME) }
    return this.#metrics.meter
  }
}
