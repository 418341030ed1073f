import { setTimeout as sleep } from 'node:timers/promises'
import type { Node } from '../nodes/node.ts'
import { faultOf } from '../routing/failures.ts'
import type { Deadline } from './deadline.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 500

/**
 * Takes something from a server again and again while it has no room for another connection: that passes,
 * and nothing has been sent. Not for longer than the deadline, nor than opening a connection may take.
 */
export const awaitRoom = async <T>(
  deadline: Deadline,
  limitMs: number,
  node: Node,
  take: () => Promise<T>,
): Promise<T> => {
  const until = performance.now() + limitMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    try {
      return await take()
    } catch (error) {
      // Spread, or all who were turned away would come back together.
      const pause = pauseMs * (0.5 + Math.random())
      const waits = faultOf(error, 'connect').follows.node === 'cool down'
      if (waits) node.write.coolDown()
      if (!waits || performance.now() + pause > until) throw error
      await deadline.race(sleep(pause), () => {})
    }
  }
}
