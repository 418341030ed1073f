/**
 * Starts a PostgreSQL primary with two replicas and this application on them, and shows which
 * server answered each request. Serves until Ctrl-C; with `--exit` it ends after that.
 */
import { readFile } from 'node:fs/promises'
import express from 'express'
import { connect, SegregatoError } from 'segregato'
import { startCluster } from 'segregato/testing'
import { answeredBy } from './answered-by.ts'
import { createApp } from './app.ts'
import { openWitnesses, WITNESS_SETTINGS } from './demo-witness.ts'
import type { Witnesses } from './demo-witness.ts'
import { serve } from './serve.ts'
import type { RunningServer } from './serve.ts'

const HOST = '127.0.0.1'
const REPLICAS = 2
const PATIENCE_MS = 10_000
const TITLES = ['Hello', 'Writes go to the primary', 'Reads go to the replicas']

const colours = process.stdout.isTTY && process.stdout.hasColors()
const painted = (code: number) => (text: string) =>
  colours ? `\u001B[${code}m${text}\u001B[0m` : text
const bold = painted(1)
const dim = painted(2)
const yellow = painted(33)
const green = painted(32)

const demo = async (interrupted: AbortSignal, ends: boolean): Promise<void> => {
  console.log(bold('Starting PostgreSQL: one primary, two replicas'))
  await using servers = await startCluster({
    replicas: REPLICAS,
    settings: WITNESS_SETTINGS,
    onProgress: (message) => console.log(dim(`  ${message} …`)),
  })
  interrupted.throwIfAborted()
  await using cluster = connect({ config: servers.config })
  for (const { node, role } of await cluster.verify())
    console.log(`  ${node.padEnd(8)}  ${role.padEnd(7)}  ${dim(servers.url(node))}`)

  // Compiled programs lie in examples/dist/posts.
  const schema = new URL('../../posts/schema.sql', import.meta.url)
  await cluster.writer.query(await readFile(schema, 'utf8'))
  await using server = await serveNear(
    Number(process.env['PORT'] ?? 3000),
    express().disable('x-powered-by').use(answeredBy(cluster), createApp(cluster)),
  )
  await using witnesses = await openWitnesses(servers)
  const url = `http://${HOST}:${server.port}`
  await tour(url, witnesses, interrupted)
  if (ends) return

  console.log(`
${bold(`Serving on ${url}`)} until Ctrl-C. Try, and look at X-Answered-By:

  curl -i ${url}/posts
  curl -i ${url}/posts -H 'Content-Type: application/json' -d '{"title":"Mine"}'
  curl -i ${url}/posts -H 'Content-Type: application/json' -d '{"title":""}'
`)
  interrupted.throwIfAborted()
  await new Promise((resolve) => interrupted.addEventListener('abort', resolve))
  console.log('Stopping …')
}

/** On this port, or on any free one when it is taken. */
const serveNear = (port: number, app: Parameters<typeof serve>[0]): Promise<RunningServer> =>
  serve(app, { host: HOST, port }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') return serve(app, { host: HOST, port: 0 })
    throw error
  })

/** Writes three posts, reads six times, and prints for each request which server has answered. */
const tour = async (url: string, witnesses: Witnesses, signal: AbortSignal): Promise<void> => {
  const send = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(url + path, { ...init, signal })
  const show = async (path: string, init: RequestInit = {}): Promise<Response> => {
    await witnesses.ask()
    const response = await send(path, init)
    const request = `${init.method ?? 'GET'} ${path}`
    await report(request.replace(/(?<=-).*/, '…'), response, witnesses)
    return response
  }

  console.log(bold('\nThree writes, and which server says that it has received them'))
  let id = ''
  for (const title of TITLES) {
    const response = await show('/posts', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ title }),
    })
    id = ((await response.json()) as { id: string }).id
  }

  const waitedMs = await caughtUp(send)
  console.log(
    dim(
      `  Both replicas had them ${waitedMs} ms later. Who sends the cookie back does not have to wait`,
    ),
  )

  console.log(bold('\nSix reads'))
  for (let turn = 0; turn < 3; turn++) await (await show('/posts')).arrayBuffer()
  for (let turn = 0; turn < 3; turn++) await (await show(`/posts/${id}`)).arrayBuffer()
}

/** Reads until both replicas have shown all posts; tells how many milliseconds that took. */
const caughtUp = async (send: (path: string) => Promise<Response>): Promise<number> => {
  const since = performance.now()
  const replicas = new Set<string | null>()
  while (replicas.size < REPLICAS) {
    const response = await send('/posts')
    const { count } = (await response.json()) as { count: number }
    if (count === TITLES.length) replicas.add(response.headers.get('X-Answered-By'))
    else if (performance.now() - since > PATIENCE_MS) throw new Error('The replicas do not follow')
  }
  return Math.ceil(performance.now() - since)
}

/** Prints what the servers tell. It has to be what the header told, which comes from the library. */
const report = async (request: string, response: Response, witnesses: Witnesses): Promise<void> => {
  const found = await witnesses.ask()
  const names = found.map(({ name }) => name).join(', ')
  const answers = found.map(({ name, port, isReplica }) => {
    const paint = isReplica ? green : yellow
    return paint(`${name.padEnd(8)}  ${isReplica ? 'replica' : 'primary'}  port ${port}`)
  })
  console.log(`  ${request.padEnd(22)}  ${response.status}  ${answers.join(', ')}`)
  const claimed = response.headers.get('X-Answered-By')
  if (names === claimed) return
  throw new Error(`According to the library ${claimed} answered, to the servers ${names || 'none'}`)
}

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => interruption.abort())

await demo(interruption.signal, process.argv.includes('--exit')).catch((error: unknown) => {
  if (interruption.signal.aborted) return
  console.error(error instanceof SegregatoError ? error.message : error)
  process.exitCode = 1
})
console.log(dim('\nStopped. The servers and their data are gone.'))
