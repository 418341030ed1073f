import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TestClusterError } from '../errors.ts'
import { own, writeOwned } from './files.ts'
import type { Installation } from './installation.ts'
import { anyFreePort } from './ports.ts'
import { childrenOf, signal } from './processes.ts'

const START_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 15_000
const PORT_ATTEMPTS = 5

/** One PostgreSQL server of the test cluster: its directory, its process, its settings. */
export class Server {
  readonly name: string
  /** Its data directory. */
  readonly data: string
  /** What it writes to its log, the settings' `log_line_prefix` included. */
  readonly log: string
  port: number
  readonly settings: Map<string, string>
  readonly #installation: Installation
  #child: ChildProcess | undefined
  #frozen = false

  constructor(
    name: string,
    directory: string,
    port: number,
    settings: Map<string, string>,
    installation: Installation,
  ) {
    this.name = name
    this.data = join(directory, name)
    this.log = join(directory, `${name}.log`)
    this.port = port
    this.settings = settings
    this.#installation = installation
  }

  get isRunning(): boolean {
    return this.#child !== undefined
  }

  get isFrozen(): boolean {
    return this.#frozen
  }

  /** The postmaster's id while the server runs. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts the server and waits until it accepts connections. Only a first start may change the port. */
  async start({ mayMove = false } = {}): Promise<void> {
    if (this.#child !== undefined) return
    for (let attempt = 1; ; attempt++) {
      this.writeSettings()
      const from = this.logText().length
      if (await this.#launch()) return
      const said = this.logText().slice(from)
      if (mayMove && attempt < PORT_ATTEMPTS && /could not create any TCP\/IP sockets/.test(said)) {
        this.port = await anyFreePort([this.port])
        continue
      }
      throw new TestClusterError(
        `The server ${this.name} did not start:\n${said.trim().split('\n').slice(-15).join('\n')}`,
      )
    }
  }

  async #launch(): Promise<boolean> {
    const { bin, account, env } = this.#installation
    const log = openSync(this.log, 'a', 0o600)
    own(this.log, account)
    const child = spawn(join(bin, 'postgres'), ['-D', this.data], {
      ...account,
      cwd: this.data,
      env,
      // A session of its own: Ctrl-C in the terminal reaches the tests, which then close the cluster.
      detached: true,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    const gone = (): void => {
      if (this.#child === child) this.#child = undefined
    }
    child.once('error', gone).once('exit', gone)
    child.unref()
    this.#child = child
    const until = Date.now() + START_LIMIT_MS
    while (this.#child === child) {
      if (this.#isReady(child)) return true
      if (Date.now() > until) {
        await this.kill()
        return false
      }
      await sleep(5)
    }
    return false
  }

  /** The last line of the lock file is the postmaster's state; the first one is its id. */
  #isReady(child: ChildProcess): boolean {
    const lock = join(this.data, 'postmaster.pid')
    const lines = existsSync(lock) ? readFileSync(lock, 'utf8').split('\n') : []
    return Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready'
  }

  /** An orderly stop; a frozen server is thawed first. */
  async stop(): Promise<void> {
    await this.#end('SIGINT', STOP_LIMIT_MS)
  }

  /**
   * Ends all processes of the server at once, as SIGKILL or a power failure would. The postmaster
   * itself gets SIGQUIT after its children are gone: it has nothing left to tell anybody, and removes
   * the System V shared memory that SIGKILL would leave behind for good.
   */
  async kill(): Promise<void> {
    const pid = this.#child?.pid
    if (pid === undefined) return
    signal(pid, 'SIGSTOP')
    for (const child of childrenOf(pid)) signal(child, 'SIGKILL')
    this.#frozen = true
    await this.#end('SIGQUIT', STOP_LIMIT_MS)
  }

  async #end(how: NodeJS.Signals, limitMs: number): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined) return
    child.ref()
    const exited = once(child, 'exit')
    signal(child.pid, how)
    this.thaw()
    const late = setTimeout(
      () => signal(child.pid ?? 0, how === 'SIGINT' ? 'SIGQUIT' : 'SIGKILL'),
      limitMs,
    )
    await exited
    clearTimeout(late)
    this.#frozen = false
  }

  /** Stops every process of the server where it is: connections stay open and nobody answers. */
  freeze(): void {
    const pid = this.#child?.pid
    if (pid === undefined) return
    // The postmaster first: it must not start another child that would be missed.
    signal(pid, 'SIGSTOP')
    for (const child of childrenOf(pid)) signal(child, 'SIGSTOP')
    this.#frozen = true
  }

  thaw(): void {
    const pid = this.#child?.pid
    if (pid === undefined || !this.#frozen) return
    for (const child of childrenOf(pid)) signal(child, 'SIGCONT')
    signal(pid, 'SIGCONT')
    this.#frozen = false
  }

  /** Makes a running server read its settings again. */
  reload(): void {
    this.writeSettings()
    if (this.#child?.pid !== undefined) signal(this.#child.pid, 'SIGHUP')
  }

  writeSettings(): void {
    const lines = [...this.settings, ['port', String(this.port)] as const].map(
      ([name, value]) => `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`,
    )
    writeOwned(join(this.data, 'segregato.conf'), lines.join(''), this.#installation.account)
  }

  /** What it has written to its log so far. */
  logText(): string {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8') : ''
  }
}
