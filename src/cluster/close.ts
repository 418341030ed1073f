import { LIMITS } from '../config/limits.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { Core } from './core.ts'

/** How a cluster closes. */
export interface CloseOptions {
  /** How long running work may go on, in milliseconds. @defaultValue `10_000` */
  readonly timeoutMs?: number
}

/** Refuses new work, lets running work finish within the limit, then closes every connection. */
export const closeCore = async (
  core: Core,
  { timeoutMs = LIMITS.closeTimeoutMs }: CloseOptions,
): Promise<void> => {
  if (!(timeoutMs >= 0)) throw new InvalidArgumentError(`timeoutMs must not be negative, got ${timeoutMs}`)
  core.state = 'closing'
  const connections = core.nodes.flatMap((node) => node.connections)
  const finished = Promise.all(connections.map((each) => each.renew()))
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs)
  })
  try {
    await Promise.race([finished, limit])
  } finally {
    clearTimeout(timer)
    for (const each of connections) each.destroy()
    core.state = 'closed'
  }
}
