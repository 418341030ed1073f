import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../config/load.ts'
import type { ClusterConfig } from '../config/types.ts'
import { sourceOptions } from './command.ts'
import type { GlobalOptions } from './command.ts'
import { formatMs } from './format.ts'
import { colorsFor, toJson } from './output.ts'
import { Sampler } from './sampler.ts'
import type { Sample } from './sampler.ts'
import { describeSource } from './source-line.ts'
import { describeSamples, LagHistory, statusLines, statusTable } from './status-view.ts'
import { Screen, waitForQuit } from './terminal.ts'

interface StatusOptions extends GlobalOptions {
  readonly watch?: boolean
  readonly json?: boolean
  readonly interval: number
}

/** Asking twice gives a time for a replica that had to catch up first. */
const SECOND_LOOK_MS = 200

/** `segregato status`: each node's role, health and lag, once or until the user has seen enough. */
export const status = async (options: StatusOptions): Promise<number> => {
  const config = loadConfig(sourceOptions(options))
  const waitMs = Math.max(1_000, Math.min(options.interval, 3_000))
  const sampler = new Sampler(config, { connectMs: waitMs, answerMs: waitMs })
  try {
    const { watch, interval, json = false } = options
    if (!watch) await showOnce(sampler, config, json)
    else if (process.stdout.isTTY && !json) await watchScreen(sampler, config, interval)
    else
      await watchLines(sampler, interval, (samples) =>
        json
          ? [toJson(describeSamples(samples, config), 0)]
          : statusLines(samples, new Date().toISOString()),
      )
  } finally {
    sampler.close()
  }
  return 0
}

const showOnce = async (sampler: Sampler, config: ClusterConfig, json: boolean): Promise<void> => {
  let samples = await sampler.sample()
  if (samples.some(({ lagIsLeast }) => lagIsLeast)) {
    await sleep(SECOND_LOOK_MS)
    samples = await sampler.sample()
  }
  if (json) {
    console.log(toJson(describeSamples(samples, config)))
    return
  }
  const colors = colorsFor(process.stdout)
  console.log([describeSource(config, colors), '', ...statusTable(samples, colors)].join('\n'))
}

const watchScreen = async (
  sampler: Sampler,
  config: ClusterConfig,
  intervalMs: number,
): Promise<void> => {
  const colors = colorsFor(process.stdout)
  const lags = new LagHistory()
  const { quit, restore } = waitForQuit(process.stdin)
  const screen = new Screen(process.stdout)
  let lines: readonly string[] = []
  const draw = (): void => screen.draw([...lines, '', colors.dim('q quits')])
  const show = (samples: readonly Sample[]): void => {
    lags.add(samples)
    const time = colors.dim(`${clock()}, every ${formatMs(intervalMs)}`)
    const table = statusTable(samples, colors, {
      lags,
      columns: process.stdout.columns,
    })
    lines = [`${describeSource(config, colors)}  ${time}`, '', ...table]
    draw()
  }
  screen.open()
  process.stdout.on('resize', draw)
  try {
    screen.draw([describeSource(config, colors), '', 'Asking …'])
    await repeat(sampler, intervalMs, quit, show)
  } finally {
    process.stdout.off('resize', draw)
    screen.close()
    restore()
  }
  // What was seen last stays on the ordinary screen.
  if (lines.length > 0) console.log(lines.join('\n'))
}

const watchLines = async (
  sampler: Sampler,
  intervalMs: number,
  linesOf: (samples: readonly Sample[]) => readonly string[],
): Promise<void> => {
  const { quit, restore } = waitForQuit(process.stdin)
  try {
    await repeat(sampler, intervalMs, quit, (samples) => {
      console.log(linesOf(samples).join('\n'))
    })
  } finally {
    restore()
  }
}

/** Asks until `quit`; a question that is under way then is left alone. */
const repeat = async (
  sampler: Sampler,
  intervalMs: number,
  quit: Promise<void>,
  show: (samples: readonly Sample[]) => void,
): Promise<void> => {
  const over = quit.then(() => 'over' as const)
  for (;;) {
    const next = sleep(intervalMs, undefined, { ref: true })
    const samples = await Promise.race([over, sampler.sample()])
    if (samples === 'over') return
    show(samples)
    if ((await Promise.race([over, next])) === 'over') return
  }
}

const clock = (): string => new Date().toTimeString().slice(0, 8)
