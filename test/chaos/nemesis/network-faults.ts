import type { ProxyMode } from '../../support/fault-proxy.ts'
import type { FaultKind } from './kinds.ts'
import { SLOTS } from './schedule.ts'
import { repeat } from './server-faults.ts'

const way = (mode: ProxyMode, delayMs: (size: number) => number = () => 0): FaultKind => ({
  name: `way: ${mode}`,
  slots: SLOTS,
  begin: async ({ ways }, { node, size }) => {
    await ways.set(node, mode, delayMs(size))
    return () => ways.set(node, 'pass')
  },
})

/** Faults of the way from the workers to one server. */
export const NETWORK_FAULTS: readonly FaultKind[] = [
  way('refuse'),
  way('black-hole'),
  way('mute'),
  way('half-open'),
  way('cut-after-send'),
  { ...way('delay', (size) => 10 + Math.floor(200 * size)), harmless: true },
  {
    name: 'way: reset',
    slots: SLOTS,
    begin: ({ ways }, { node, lastsMs }) => repeat(lastsMs, 250, () => ways.reset(node)),
  },
]
