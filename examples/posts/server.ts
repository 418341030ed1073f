/** The application, on the servers of `database.yml`. Ends on SIGTERM and SIGINT with what it has begun. */
import { ClusterVerificationError, ConfigError, connect } from 'segregato'
import { createApp } from './app.ts'
import { serve } from './serve.ts'

const start = async (): Promise<void> => {
  const cluster = connect()
  await cluster.verify().catch((error: unknown) => {
    if (!(error instanceof ClusterVerificationError)) throw error
    // A replica that is down is no reason to stay down as well: reads go round it.
    console.error(error.message)
  })
  const server = await serve(createApp(), { port: Number(process.env['PORT'] ?? 3000) })
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
  console.error(error instanceof ConfigError ? error.message : error)
  process.exitCode = 1
})
