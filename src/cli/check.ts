import { fileURLToPath } from 'node:url'
import { loadConfig } from '../config/load.ts'
import { collectReports } from './check-collect.ts'
import { findingsOf } from './check-rules.ts'
import { describeNode, findingLines, nodeTable, summaryOf } from './check-view.ts'
import type { GlobalOptions } from './command.ts'
import { sourceOptions } from './command.ts'
import { colorsFor, toJson } from './output.ts'
import { describeSource, shortPath } from './source-line.ts'

interface CheckOptions extends GlobalOptions {
  readonly processes: number
  readonly json?: boolean
}

/** `segregato check`: asks the configured servers and says what is wrong. Answers 1 when there is a problem. */
export const check = async (options: CheckOptions): Promise<number> => {
  const config = loadConfig(sourceOptions(options))
  const { allowSameServer, maxLagMs } = config.settings
  const { processes } = options
  const reports = await collectReports(config)
  const findings = findingsOf({ nodes: reports, allowSameServer, maxLagMs, processes })
  const ok = findings.every(({ severity }) => severity !== 'problem')
  const nodes = reports.map((report) => describeNode(report, reports, processes))
  if (options.json) {
    const { environment, file } = config
    console.log(toJson({ ok, environment, file, processes, nodes, findings }))
  } else {
    const colors = colorsFor(process.stdout)
    const shown = options.verbose ? findings : findings.filter(({ severity }) => severity !== 'ok')
    const lines = [
      describeSource(config, colors),
      '',
      ...nodeTable(nodes, colors),
      '',
      ...findingLines(shown, colors, process.stdout.columns ?? 100),
      ...(shown.length > 0 ? [''] : []),
      summaryOf(findings, colors),
      ...(shown.some(({ docs }) => docs !== undefined) ? [colors.dim(whereDocsAre())] : []),
    ]
    console.log(lines.join('\n'))
  }
  return ok ? 0 : 1
}

/** The paths that findings name are those of the package, wherever it is installed. */
const whereDocsAre = (): string =>
  `docs/ is ${shortPath(fileURLToPath(new URL('../../docs', import.meta.url)))}`
