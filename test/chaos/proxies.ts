/** The process between the workers and the servers. */
import { openFaultProxy } from '../support/fault-proxy.ts'
import type { FaultProxy } from '../support/fault-proxy.ts'
import type { FromProxies, ToProxies } from './messages.ts'

const proxies = new Map<string, FaultProxy>()
const tell = (message: FromProxies): void => {
  process.send?.(message)
}
const proxyOf = (node: string): FaultProxy => {
  const proxy = proxies.get(node)
  if (proxy === undefined) throw new Error(`There is no way to ${node}`)
  return proxy
}

const act = async (message: ToProxies): Promise<void> => {
  switch (message.type) {
    case 'open':
      for (const [node, port] of Object.entries(message.ports))
        proxies.set(node, await openFaultProxy({ host: '127.0.0.1', port }))
      tell({
        type: 'opened',
        ports: Object.fromEntries([...proxies].map(([node, { port }]) => [node, port])),
      })
      return
    case 'set':
      await proxyOf(message.node).set(message.mode, { delayMs: message.delayMs })
      tell({ type: 'done', id: message.id })
      return
    case 'reset':
      proxyOf(message.node).reset()
      tell({ type: 'done', id: message.id })
      return
    default:
      message satisfies never
  }
}

process.on('message', (message: ToProxies) => void act(message))
process.on('disconnect', () => process.exit())
