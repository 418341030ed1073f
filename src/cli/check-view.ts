import { connectionsAllowed, connectionsNeeded } from './check-connections.ts'
import type { Finding, NodeReport, Severity } from './check-facts.ts'
import { counted, formatBytes, formatMs } from './format.ts'
import { alignRows, wrapText } from './output.ts'
import type { Cell, Colors } from './output.ts'

/** What `check --json` says of one node; `undefined` is unknown and becomes `null`. */
export const describeNode = (
  report: NodeReport,
  reports: readonly NodeReport[],
  processes: number,
): NodeDescription => {
  const { name, role, host, port, answer, failure } = report
  const slotName = answer?.standby?.slotName
  const slots = reports.find((one) => one.role === 'primary')?.answer?.slots
  return {
    node: name,
    configuredRole: role,
    host,
    port,
    reachable: answer !== undefined,
    failure: failure?.reason,
    failureKind: failure?.kind,
    role: answer && (answer.server.inRecovery ? 'replica' : 'primary'),
    version: answer?.server.version,
    systemIdentifier: answer?.server.systemIdentifier,
    lagBytes: answer?.lag?.bytes,
    lagMs: answer?.lag && Math.round(answer.lag.ms),
    caughtUp: answer?.lag?.caughtUp,
    replayPaused: answer?.standby?.replayPaused,
    slot: slotName,
    slotActive: slots?.find((slot) => slot.name === slotName)?.active,
    hotStandbyFeedback: answer?.standby?.hotStandbyFeedback,
    maxStandbyStreamingDelayMs: answer?.standby?.maxStandbyStreamingDelayMs,
    connectionsNeeded: connectionsNeeded(report, processes),
    connectionsAllowed: answer?.limits && connectionsAllowed(answer.limits).count,
    ...answer?.limits,
  }
}

interface NodeDescription {
  readonly node: string
  readonly configuredRole: string
  readonly host: string
  readonly port: number
  readonly reachable: boolean
  readonly failure: string | undefined
  readonly failureKind: 'unreachable' | 'refused' | undefined
  readonly role: 'primary' | 'replica' | undefined
  readonly version: string | undefined
  readonly systemIdentifier: string | undefined
  readonly lagBytes: number | undefined
  readonly lagMs: number | undefined
  readonly caughtUp: boolean | undefined
  readonly replayPaused: boolean | undefined
  readonly slot: string | undefined
  readonly slotActive: boolean | undefined
  readonly hotStandbyFeedback: boolean | undefined
  readonly maxStandbyStreamingDelayMs: number | undefined
  readonly connectionsNeeded: number
  readonly connectionsAllowed: number | undefined
}

const UNKNOWN = 'unknown'
const NONE = '-'

/** The table of `check`. */
export const nodeTable = (nodes: readonly NodeDescription[], colors: Colors): readonly string[] => {
  const dim = (text: string): Cell => ({ text, paint: colors.dim })
  const heads = ['node', 'role', 'version', 'lag', 'slot', 'feedback', 'delay', 'connections']
  return alignRows([heads.map(dim), ...nodes.map((node) => rowOf(node, colors))])
}

const rowOf = (node: NodeDescription, colors: Colors): readonly Cell[] => {
  const bad = (text: string): Cell => ({ text, paint: colors.red })
  const plain = (text: string): Cell =>
    text === NONE || text === UNKNOWN ? { text, paint: colors.dim } : { text }
  const name: Cell = { text: node.node, paint: colors.bold }
  if (!node.reachable) {
    return [
      name,
      plain(node.configuredRole),
      bad(node.failureKind === 'refused' ? 'refused' : 'no answer'),
    ]
  }
  const isStandby = node.role === 'replica'
  const ofStandby = (text: string): Cell => plain(isStandby ? text : NONE)
  return [
    name,
    node.role === node.configuredRole ? plain(node.role) : bad(node.role ?? UNKNOWN),
    plain(node.version?.split(' ')[0] || UNKNOWN),
    ofStandby(lagOf(node)),
    ofStandby(slotOf(node)),
    ofStandby(
      node.hotStandbyFeedback === undefined ? UNKNOWN : node.hotStandbyFeedback ? 'on' : 'off',
    ),
    ofStandby(delayOf(node.maxStandbyStreamingDelayMs)),
    plain(`${node.connectionsNeeded} of ${node.connectionsAllowed ?? UNKNOWN}`),
  ]
}

const lagOf = ({ lagBytes, lagMs, caughtUp }: NodeDescription): string =>
  lagBytes === undefined || lagMs === undefined
    ? UNKNOWN
    : `${formatBytes(lagBytes)}, ${caughtUp ? '' : '> '}${formatMs(lagMs)}`

const slotOf = ({ slot, slotActive }: NodeDescription): string =>
  slot === undefined
    ? UNKNOWN
    : slot === ''
      ? 'none'
      : `${slot}${slotActive === undefined ? ' (unknown)' : slotActive ? '' : ' (inactive)'}`

const delayOf = (ms: number | undefined): string =>
  ms === undefined ? UNKNOWN : ms < 0 ? 'no limit' : formatMs(ms)

const LABEL_WIDTH = 'problem'.length

/** The findings as sentences, each with the place in the documentation. */
export const findingLines = (
  findings: readonly Finding[],
  colors: Colors,
  width: number,
): readonly string[] => {
  const paints: Record<Severity, (text: string) => string> = {
    problem: (text) => colors.bold(colors.red(text)),
    warning: colors.yellow,
    note: colors.cyan,
    ok: colors.green,
  }
  const sentences = together(findings)
  const nameWidth = Math.max(0, ...sentences.map(({ node }) => node.length))
  const indent = ' '.repeat(LABEL_WIDTH + nameWidth + 4)
  return sentences.flatMap(({ severity, node, message, docs }) => {
    const [first = '', ...rest] = wrapText(message, Math.max(30, width - indent.length))
    const label = paints[severity](severity) + ' '.repeat(LABEL_WIDTH - severity.length)
    return [
      `${label}  ${node.padEnd(nameWidth)}  ${first}`,
      ...rest.map((line) => indent + line),
      ...(docs === undefined ? [] : [indent + colors.dim(docs)]),
    ]
  })
}

/** What is to be said of several nodes in the same words is said once. */
const together = (findings: readonly Finding[]): readonly Finding[] => {
  const sentences = new Map<string, Finding>()
  for (const finding of findings) {
    const key = `${finding.severity} ${finding.code} ${finding.message}`
    const first = sentences.get(key)
    const node = first === undefined ? finding.node : `${first.node}, ${finding.node}`
    sentences.set(key, { ...finding, node })
  }
  return [...sentences.values()]
}

/** One line that says how it went. */
export const summaryOf = (findings: readonly Finding[], colors: Colors): string => {
  const sentences = together(findings)
  const count = (severity: Severity): number =>
    sentences.filter((one) => one.severity === severity).length
  const [problems, warnings, notes] = [count('problem'), count('warning'), count('note')]
  const parts = [
    problems > 0 && counted(problems, 'problem'),
    warnings > 0 && counted(warnings, 'warning'),
    notes > 0 && counted(notes, 'note'),
  ].filter((one) => one !== false)
  if (problems > 0) return colors.bold(colors.red(parts.join(', ')))
  return parts.length === 0
    ? colors.green('Everything is in order')
    : `${colors.green('No problems')}: ${parts.join(', ')}`
}
