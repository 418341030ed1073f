import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CONTROL_SUFFIX } from '../../src/nodes/node.ts'
import { HELPER_NAME, sharedCluster, withClient } from './shared-cluster.ts'

/** A statement that a server has received. */
export interface LoggedStatement {
  readonly server: string
  readonly text: string
  readonly applicationName: string
  readonly user: string
  /** The id of the server's process: one per connection. */
  readonly pid: number
  /** The server's message when it refused the statement. */
  readonly error?: string
}

export interface StatementLog {
  /**
   * What the named servers (all, when none is named) have received for this database since the log
   * was opened, in the order of each server's log; not what the test helpers sent. Whatever was
   * answered before the call is in it.
   */
  statements(...servers: readonly string[]): Promise<readonly LoggedStatement[]>
  /** The texts alone. */
  texts(...servers: readonly string[]): Promise<readonly string[]>
}

/**
 * Records which statements each shared server receives for one database. The servers write each
 * statement to their log before they run it; a statement of our own, found in the log, proves that
 * everything before it is there too.
 */
export const watchStatements = async (database: string): Promise<StatementLog> => {
  const { config } = sharedCluster()
  const names = Object.keys(config)
  const starts = new Map<string, number>()
  for (const name of names) starts.set(name, (await readThroughMark(name, 0)).end)

  const statements = async (...servers: readonly string[]): Promise<readonly LoggedStatement[]> => {
    const found = await Promise.all(
      (servers.length === 0 ? names : servers).map(async (server) => {
        const { text } = await readThroughMark(server, starts.get(server) ?? 0)
        return statementsIn(server, text, database)
      }),
    )
    return found.flat()
  }
  return {
    statements,
    texts: async (...servers) => (await statements(...servers)).map(({ text }) => text),
  }
}

/**
 * How questions of the library about the server begin that are asked on an application's connection:
 * about each new one, and for the positions of writes.
 */
const QUESTION =
  /: SELECT (?:r\.rec AS in_recovery|CASE current_setting\('synchronous_commit'\)|current_setting\('synchronous_commit'\) <>)/

/** The log from a position up to a statement that is sent now. */
const readThroughMark = async (
  server: string,
  from: number,
): Promise<{ text: string; end: number }> => {
  const { config, directory } = sharedCluster()
  const node = config[server]
  if (node === undefined) throw new Error(`The shared cluster has no server called ${server}`)
  const mark = randomUUID()
  await withClient(node, (client) => client.query(`SELECT '${mark}'`))
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const bytes = await readFrom(join(directory, `${server}.log`), from)
    const at = bytes.indexOf(mark)
    const lineEnd = at < 0 ? -1 : bytes.indexOf('\n', at)
    if (lineEnd >= 0)
      return { text: bytes.subarray(0, lineEnd).toString('utf8'), end: from + lineEnd + 1 }
    await sleep(5)
  }
  throw new Error(`The log of ${server} does not show the statement that was sent to it`)
}

const readFrom = async (path: string, from: number): Promise<Buffer> => {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const buffer = Buffer.alloc(Math.max(0, size - from))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** The line prefix is set in global-setup.ts; further lines of a message begin with a tab. */
const LINE =
  /^# (?<pid>\d+) (?<user>\S*) (?<database>\S*) <(?<application>.*?)># (?<level>[A-Z]+): {2}(?<message>[^]*)$/
const RECEIVED =
  /^(?:statement|execute [^:]*|execute fetch from [^:]*|fastpath function call): (?<text>[^]*)$/

export const statementsIn = (
  server: string,
  log: string,
  database: string,
): readonly LoggedStatement[] => {
  const statements: LoggedStatement[] = []
  const errors = new Map<string, string>()
  for (const entry of log.split(/\n(?!\t)/)) {
    const {
      pid = '',
      user = '',
      database: where,
      application = '',
      level,
      message = '',
    } = LINE.exec(entry)?.groups ?? {}
    if (where !== database || application === HELPER_NAME) continue
    // Questions of the library about the server itself, such as its position.
    if (application?.endsWith(CONTROL_SUFFIX) || QUESTION.test(message)) continue
    const said = message.replaceAll('\n\t', '\n').trimEnd()
    const common = { server, applicationName: application, user, pid: Number(pid) }
    const received = level === 'LOG' ? RECEIVED.exec(said)?.groups?.['text'] : undefined
    if (received !== undefined) statements.push({ ...common, text: received })
    else if (level === 'ERROR' || level === 'FATAL') errors.set(pid, said)
    else if (level === 'STATEMENT')
      noteRefused(statements, { ...common, text: said }, errors.get(pid))
  }
  return statements
}

/** A refused statement was logged before, unless it failed so early that only the error shows it. */
const noteRefused = (
  statements: LoggedStatement[],
  refused: LoggedStatement,
  error: string | undefined,
): void => {
  const at = statements.findLastIndex(({ pid }) => pid === refused.pid)
  const logged =
    at >= 0 && statements[at]!.text === refused.text && statements[at]!.error === undefined
  const complete = error === undefined ? refused : { ...refused, error }
  if (logged) statements[at] = complete
  else statements.push(complete)
}
