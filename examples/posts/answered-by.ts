import { AsyncLocalStorage } from 'node:async_hooks'
import type { RequestHandler } from 'express'
import type { Cluster } from 'segregato'

/** Adds a header `X-Answered-By`: the node, or the nodes, that the request's statements ran on. */
export const answeredBy = (cluster: Cluster): RequestHandler => {
  const requests = new AsyncLocalStorage<(node: string) => void>()
  // Listeners run in the context of the call that caused the event.
  cluster.events.on('query', ({ node }) => requests.getStore()?.(node))
  return (_req, res, next) => {
    const nodes = new Set<string>()
    const note = (node: string): void => {
      if (!res.headersSent) res.set('X-Answered-By', [...nodes.add(node)].join(', '))
    }
    requests.run(note, next)
  }
}
