/** A process that uses the library as an application does, and writes down what it gets. */
import type { Cluster } from '../../../src/cluster/cluster.ts'
import { now, watchStalls } from '../clock.ts'
import type { Held } from '../history.ts'
import type { FromWorker, ToWorker, WorkerStart } from '../messages.ts'
import { seeded } from '../random.ts'
import { Keys } from './keys.ts'
import { openLibrary } from './library.ts'
import { Recorder } from './recorder.ts'
import { Shift } from './shift.ts'

const tell = (message: FromWorker): void => {
  if (process.connected) process.send?.(message)
}

let cluster: Cluster | undefined
let shift: Shift | undefined

const start = (start: WorkerStart): void => {
  const { name, seed, sessions, firstValue, file } = start
  watchStalls()
  const random = seeded(seed)
  cluster = openLibrary(start)
  let value = firstValue
  shift = new Shift(
    {
      cluster,
      random,
      recorder: new Recorder(name, file),
      keys: new Keys(random),
      nextValue: () => value++,
    },
    name,
    (traveller) => tell({ type: 'traveller', traveller }),
    (message) => tell({ type: 'complaint', message }),
  )
  tell({ type: 'started' })
  void shift.run(sessions).then(() => tell({ type: 'stopped' }))
}

const held = (): readonly Held[] =>
  (cluster?.status().nodes ?? []).flatMap(({ node, read, write }) =>
    Object.entries({ read, write }).flatMap(([purpose, counts]) =>
      counts === undefined
        ? []
        : [
            {
              node,
              purpose,
              total: counts.totalCount,
              idle: counts.idleCount,
              waiting: counts.waitingCount,
            },
          ],
    ),
  )

/** As a long computation of the application does. */
const stall = (ms: number): void => {
  const until = now() + ms
  while (now() < until);
}

const collect = (globalThis as { gc?: () => void }).gc

const act = async (message: ToWorker): Promise<void> => {
  switch (message.type) {
    case 'start':
      start(message.start)
      return
    case 'traveller':
      shift?.arrive(message.traveller)
      return
    case 'stall':
      stall(message.ms)
      return
    case 'measure':
      collect?.()
      tell({ type: 'heap', bytes: process.memoryUsage().heapUsed, at: now() })
      return
    case 'stop':
      shift?.stop()
      return
    case 'ask':
      tell({ type: 'held', held: held() })
      return
    case 'close':
      await cluster?.close()
      tell({ type: 'closed' })
      process.disconnect()
      return
    default:
      message satisfies never
  }
}

process.on('message', (message: ToWorker) => void act(message))
process.on('warning', ({ name, message }) =>
  tell({ type: 'complaint', message: `warning ${name}: ${message}` }),
)
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    tell({ type: 'complaint', message: `${event}: ${stack}` })
  })
}
process.on('disconnect', () => process.exit())
