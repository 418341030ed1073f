import { RUNTIME_LIMITS } from '../config/defaults.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { Core } from './core.ts'
import { checkOptionNames } from './option-names.ts'

/** How a cluster closes. */
export interface CloseOptions {
  /** How long running work may go on, in milliseconds. @defaultValue `10_000` */
  readonly timeoutMs?: number
}

/** @throws InvalidArgumentError for a time that is no number, or negative */
export const closeTimeout = (options: CloseOptions): number => {
  checkOptionNames('close()', options, ['timeoutMs'])
  const { timeoutMs = RUNTIME_LIMITS.closeTimeoutMs } = options
  if (timeoutMs >= 0) return timeoutMs
  throw new InvalidArgumentError(`timeoutMs must be 0 or more milliseconds, not ${timeoutMs}`)
}

/** Refuses new work, lets running work finish within the limit, then closes every connection. */
export const closeCore = async (core: Core, timeoutMs: number): Promise<void> => {
  core.state = 'closing'
  core.consistency.close()
  core.watch.monitor.stop()
  const connections = core.connected.flatMap((node) => node.connections)
  const finished = Promise.all(connections.map((each) => each.renew()))
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs)
  })
  try {
    await Promise.race([finished, limit])
  } finally {
    clearTimeout(timer)
    // Before the sockets go: a read that loses its connection must not look for another one.
    core.state = 'closed'
    core.telemetry.close()
    for (const each of connections) each.destroy()
  }
}
