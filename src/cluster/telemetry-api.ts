/**
 * The part of OpenTelemetry's API that is used. Its package is optional, and declarations that import
 * it do not compile where it is missing; test/types/telemetry.test-d.ts compares them with the real ones.
 */
export interface TracerProvider {
  getTracer(name: string): Tracer
}

export interface Tracer {
  startActiveSpan<T>(
    name: string,
    options: { readonly kind: number; readonly attributes: Attributes },
    fn: (span: Span) => T,
  ): T
}

export interface Span {
  setAttribute(name: string, value: string | number): Span
  setAttributes(attributes: Attributes): Span
  addEvent(name: string, attributes: Attributes): Span
  setStatus(status: { readonly code: number }): Span
  end(): void
}

export interface Attributes {
  [name: string]: string | number | undefined
}

export interface MeterProvider {
  getMeter(name: string): Meter
}

export interface Meter {
  createHistogram(name: string, description: HistogramDescription): Histogram
  createCounter(name: string, description: Description): Counter
  createObservableUpDownCounter(name: string, description: Description): Observable
  createObservableGauge(name: string, description: Description): Observable
  addBatchObservableCallback(read: (result: BatchResult) => void, observables: Observable[]): void
  removeBatchObservableCallback(
    read: (result: BatchResult) => void,
    observables: Observable[],
  ): void
}

interface Description {
  readonly unit: string
  readonly description: string
}

interface HistogramDescription extends Description {
  readonly advice: { explicitBucketBoundaries: number[] }
}

export interface Histogram {
  record(value: number, attributes: Attributes): void
}

export interface Counter {
  add(value: number, attributes: Attributes): void
}

/** An instrument that is read when measurements are collected. */
export type Observable = object

export interface BatchResult {
  observe(observable: Observable, value: number, attributes: Attributes): void
}
