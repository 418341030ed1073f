import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { TestClusterError } from '../errors.ts'

/** Below the ranges from which Linux and macOS take ports for outgoing connections: a stopped server's port stays its own. */
const LOWEST = 20_000
const HIGHEST = 32_000

/** Whether a server could listen there now. */
export const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true)),
    )
  })

/**
 * `count` free loopback ports. With `first` they are the consecutive ones from there, each replaced
 * by another when it is taken.
 */
export const freePorts = async (count: number, first?: number): Promise<readonly number[]> => {
  const ports: number[] = []
  for (let index = 0; index < count; index++) {
    const wished = first === undefined ? undefined : first + index
    const usable =
      wished !== undefined && wished <= 65_535 && !ports.includes(wished) && (await isFree(wished))
    ports.push(usable ? wished : await anyFreePort(ports))
  }
  return ports
}

export const anyFreePort = async (taken: readonly number[]): Promise<number> => {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(LOWEST, HIGHEST)
    if (!taken.includes(port) && (await isFree(port))) return port
  }
  throw new TestClusterError(`No free port between ${LOWEST} and ${HIGHEST} on 127.0.0.1`)
}
