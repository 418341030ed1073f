/**
 * The application, on the servers of `database.yml`. Processes with the same `TOKEN_KEY` know what each
 * other's clients have written. Ends on SIGTERM and SIGINT with what it has begun.
 */
import { ClusterVerificationError, ConfigError, connect, InvalidArgumentError } from 'segregato'
import { createApp } from './app.ts'
import { serve } from './serve.ts'

const start = async (): Promise<void> => {
  const secret = process.env['TOKEN_KEY']
  const cluster = connect(secret ? { tokenKeys: [{ id: 'k1', secret }] } : {})
  await cluster.verify().catch((error: unknown) => {
    if (!(error instanceof ClusterVerificationError)) throw error
    // A replica that is down is no reason to stay down as well: reads go round it.
    console.error(error.message)
  })
  const server = await serve(createApp(cluster), { port: Number(process.env['PORT'] ?? 3000) })
  console.log(`Listening on port ${server.port}`)

  const stop = async (): Promise<void> => {
    console.log('Stopping …')
    // First the requests, then the connections they need.
    await server.close()
    await cluster.close()
    console.log('Stopped')
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop())
}

await start().catch((error: unknown) => {
  const isMistake = error instanceof ConfigError || error instanceof InvalidArgumentError
  console.error(isMistake ? error.message : error)
  process.exitCode = 1
})
