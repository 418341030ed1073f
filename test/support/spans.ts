/** OpenTelemetry's real SDK, registered for one test file, with what it collected. */
import { context, metrics, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  InstrumentType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import type { DataPoint, Histogram } from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'

/** What was measured for one set of attributes. */
export type Point = DataPoint<number> | DataPoint<Histogram>

export interface Sdk {
  /** The spans that have ended since the last call. */
  spans(): ReadableSpan[]
  /** The data points of one metric since the last call, collected now. */
  points(name: string): Promise<Point[]>
  remove(): Promise<void>
}

/** Sums that go up and down are given whole, everything else since the last collection. */
class Measurements extends InMemoryMetricExporter {
  override selectAggregationTemporality(type: InstrumentType): AggregationTemporality {
    return type === InstrumentType.OBSERVABLE_UP_DOWN_COUNTER
      ? AggregationTemporality.CUMULATIVE
      : AggregationTemporality.DELTA
  }
}

/** Registers tracing, metrics and context as an application does. */
export const registerSdk = (): Sdk => {
  const spans = new InMemorySpanExporter()
  const measurements = new Measurements(AggregationTemporality.DELTA)
  // Never by itself within a test: the interval is a day.
  const reader = new PeriodicExportingMetricReader({
    exporter: measurements,
    exportIntervalMillis: 86_400_000,
  })
  const tracing = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
  const metering = new MeterProvider({ readers: [reader] })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(tracing)
  metrics.setGlobalMeterProvider(metering)
  return {
    spans: () => {
      const ended = spans.getFinishedSpans()
      spans.reset()
      return ended
    },
    points: async (name) => {
      measurements.reset()
      await reader.forceFlush()
      return measurements
        .getMetrics()
        .flatMap(({ scopeMetrics }) => scopeMetrics)
        .flatMap((scope) => scope.metrics)
        .filter(({ descriptor }) => descriptor.name === name)
        .flatMap(({ dataPoints }): Point[] => [...(dataPoints as Point[])])
    },
    remove: async () => {
      trace.disable()
      metrics.disable()
      context.disable()
      await Promise.all([tracing.shutdown(), metering.shutdown()])
    },
  }
}
