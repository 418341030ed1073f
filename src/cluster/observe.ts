import type { Core } from './core.ts'
import { isObserved, publish } from './events.ts'
import type { Routing } from './statement.ts'

/** Tells where the work went; the last report counts. */
export type Report = (routing: Routing, shadow?: string) => void

const ignore: Report = () => {}

/** Runs a piece of work and publishes a `query` event about it, when anybody listens. */
export const observe = async <T>(core: Core, work: (report: Report) => Promise<T>): Promise<T> => {
  if (!isObserved(core.events, 'query')) return work(ignore)
  const startedAt = performance.now()
  let reported: { routing: Routing; shadow: string | undefined } | undefined
  const finish = (outcome: 'ok' | 'error'): void => {
    if (reported === undefined) return
    const { routing, shadow } = reported
    publish(core.events, 'query', {
      ...routing,
      durationMs: performance.now() - startedAt,
      outcome,
      shadow,
    })
  }
  try {
    const result = await work((routing, shadow) => (reported = { routing, shadow }))
    finish('ok')
    return result
  } catch (error) {
    finish('error')
    throw error
  }
}
