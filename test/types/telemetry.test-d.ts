import type * as api from '@opentelemetry/api'
import { expectTypeOf, test } from 'vitest'
import type * as used from '../../src/cluster/telemetry-api.ts'

test('what is used of OpenTelemetry is what its API has', () => {
  expectTypeOf<api.TracerProvider>().toExtend<used.TracerProvider>()
  expectTypeOf<api.Tracer>().toExtend<used.Tracer>()
  expectTypeOf<api.Span>().toExtend<used.Span>()
  expectTypeOf<used.Attributes>().toExtend<api.Attributes>()
  expectTypeOf<api.MeterProvider>().toExtend<used.MeterProvider>()
  expectTypeOf<api.Meter>().toExtend<used.Meter>()
  expectTypeOf<api.BatchObservableResult>().toExtend<used.BatchResult>()
})
