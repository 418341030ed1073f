import { loadConfig } from '../config/load.ts'
import { sourceOptions } from './command.ts'
import type { GlobalOptions } from './command.ts'
import { findOrigin } from './config-origin.ts'
import type { ConfigOrigin } from './config-origin.ts'
import { explainNode, explainSettings } from './config-values.ts'
import type { ExplainedValue } from './config-values.ts'
import { alignRows, colorsFor, toJson, wrapText } from './output.ts'
import type { Colors } from './output.ts'
import { shortPath } from './source-line.ts'

interface ExplainOptions extends GlobalOptions {
  readonly json?: boolean
}

/** `segregato explain-config`: what was read from where. Opens no connection. */
export const explainConfig = async (options: ExplainOptions): Promise<number> => {
  const source = sourceOptions(options)
  const config = loadConfig(source)
  const origin = findOrigin(source)
  const nodes = await Promise.all(
    [config.primary, ...config.replicas].map(async (node) => ({
      node: node.name,
      role: node.role,
      values: await explainNode(node, origin),
    })),
  )
  const settings = explainSettings(config.settings, origin)
  const { environment, notices } = config
  if (options.json) {
    const { file, fileBy, environmentBy, dotenv } = origin
    const variables = origin.names.map((name) => ({ name, from: origin.originOf(name) }))
    console.log(
      toJson({
        file,
        fileBy,
        environment,
        environmentBy,
        dotenv,
        variables,
        nodes,
        settings,
        notices,
      }),
    )
    return 0
  }
  const colors = colorsFor(process.stdout)
  const lines = [
    ...headLines(environment ?? '', origin, colors),
    ...nodeLines(nodes, colors),
    '',
    colors.bold('settings'),
    ...saidLines(settings, colors),
    ...defaultsLines(defaultsOf(settings), colors),
    ...notices.flatMap((notice) => ['', `${colors.yellow('notice')}  ${notice}`]),
  ]
  console.log(lines.join('\n'))
  return 0
}

const headLines = (
  environment: string,
  { file, fileBy, environmentBy, dotenv, names, originOf }: ConfigOrigin,
  colors: Colors,
): readonly string[] => {
  const by = (who: string): string => colors.dim(`(${who})`)
  const variables = names.map((name) => `${name} ${by(originOf(name))}`)
  return alignRows([
    ['file', `${shortPath(file)} ${by(fileBy)}`],
    ['environment', `${environment} ${by(environmentBy)}`],
    ['.env', dotenv === undefined ? colors.dim('not used') : shortPath(dotenv)],
    ['variables', variables.length === 0 ? colors.dim('none') : variables.join(', ')],
  ])
}

interface ExplainedNode {
  readonly node: string
  readonly role: string
  readonly values: readonly ExplainedValue[]
}

/** The nodes one after the other; defaults that all of them share come once, at the end. */
const nodeLines = (nodes: readonly ExplainedNode[], colors: Colors): readonly string[] => {
  const defaults = nodes.map(({ values }) => defaultsOf(values))
  const isShared = nodes.length > 1 && new Set(defaults).size === 1
  return [
    ...nodes.flatMap(({ node, role, values }, index) => [
      '',
      `${colors.bold(node)} ${colors.dim(role)}`,
      ...saidLines(values, colors),
      ...(isShared ? [] : defaultsLines(defaults[index], colors)),
    ]),
    ...(isShared ? ['', colors.bold('all nodes'), ...defaultsLines(defaults[0], colors)] : []),
  ]
}

/** What somebody has said, a line each with its source. */
const saidLines = (values: readonly ExplainedValue[], colors: Colors): readonly string[] =>
  alignRows(
    values
      .filter(({ isDefault }) => !isDefault)
      .map(({ key, value, source }) => [
        `  ${key}`,
        textOf(value),
        { text: source, paint: colors.dim },
      ]),
  )

const DEFAULTS_WIDTH = 86

/** What nobody has said, in one sentence; `undefined` when there is nothing. */
const defaultsOf = (values: readonly ExplainedValue[]): string | undefined => {
  const list = values
    .filter(({ isDefault, value }) => isDefault && isWorthSaying(value))
    .map(({ key, value }) => `${key} ${textOf(value)}`)
  return list.length === 0 ? undefined : `defaults: ${list.join(', ')}`
}

const defaultsLines = (text: string | undefined, colors: Colors): readonly string[] =>
  text === undefined
    ? []
    : wrapText(text, DEFAULTS_WIDTH).map((line, index) =>
        colors.dim(`  ${index === 0 ? '' : '  '}${line}`),
      )

const isWorthSaying = (value: unknown): boolean =>
  value !== undefined && !(Array.isArray(value) && value.length === 0)

const textOf = (value: unknown): string => {
  if (Array.isArray(value)) return value.join(', ')
  return value === undefined ? 'none' : typeof value === 'string' ? value : JSON.stringify(value)
}
