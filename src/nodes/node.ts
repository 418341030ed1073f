import type { NodeConfig } from '../config/types.ts'
import { PooledConnections } from './connections.ts'
import type { Connections } from './connections.ts'
import { HEALTHY, isQuarantined, nextHealth } from './health.ts'
import type { Health, HealthEvent, HealthRules } from './health.ts'
import type { ClientHooks, PoolOptions, Purpose } from './options.ts'
import { StateProbe } from './state.ts'
import type { Questioned, ServerState } from './state.ts'

/** What the names of the connections end with by which the library asks about the server itself. */
export const CONTROL_SUFFIX = ' (control)'

/** One configured server with its own connections and what is known of its health. */
export class Node {
  #config: NodeConfig
  readonly read: Connections
  /** Opened on the primary only, whichever node that is. */
  readonly write: Connections
  /** One connection for questions about the server itself, so that they never wait behind statements. */
  readonly control: Connections
  /** What the node is in the cluster now; `config.role` is what the configuration says. */
  role: 'primary' | 'replica'
  /** What the server last said of itself; `undefined`: nothing is known. */
  observed: ServerState | undefined
  /** Asks for `observed`. */
  readonly probe = new StateProbe()
  /** Why it must not serve reads, however healthy it is: it is not the server that it should be. */
  wrongServer: WrongServer | undefined
  /** The last failure, while the node is not healthy. */
  lastError: Error | undefined
  #health: Health = HEALTHY
  readonly #rules: () => HealthRules
  readonly #onChange: (node: Node) => void

  constructor(
    config: NodeConfig,
    options: {
      readonly pool: PoolOptions
      readonly health: () => HealthRules
      /** Of the connections for writing. */
      readonly hooks?: Pick<ClientHooks, 'beginWrite' | 'noticed'>
      /** Called about each new connection for reading or writing; see `Admit`. */
      readonly admit?: (node: Node, client: Questioned, purpose: Purpose) => Promise<void>
      /** Called with what a connection hears about its server; see `OnRecovery`. */
      readonly onRecovery?: (node: Node, inRecovery: boolean) => void
      /** Called once per change of health, never per failure. */
      readonly onChange: (node: Node) => void
      /** The server may have been restarted: what is known of it may be more than it shows now. */
      readonly onReconnect: (node: Node) => void
    },
  ) {
    this.#config = config
    this.role = config.role
    this.#rules = options.health
    this.#onChange = options.onChange
    const { pool, admit, onRecovery } = options
    const hooks = {
      admit: admit && ((client: Questioned, purpose: Purpose) => admit(this, client, purpose)),
      onRecovery: onRecovery && ((inRecovery: boolean) => onRecovery(this, inRecovery)),
    }
    this.read = new PooledConnections(config, 'read', pool, hooks)
    this.control = new PooledConnections(controlConfig(config), 'control', {}, { max: 1 })
    this.write = new PooledConnections(config, 'write', pool, { ...hooks, ...options.hooks })
    for (const event of ['connect', 'remove'])
      this.control.on(event, () => options.onReconnect(this))
  }

  /** As the configuration has it now. */
  get config(): NodeConfig {
    return this.#config
  }

  get name(): string {
    return this.config.name
  }

  get weight(): number {
    return this.config.weight
  }

  get tags(): readonly string[] {
    return this.config.tags
  }

  /** Connections of this process that are in use, for reading and writing. */
  get inFlight(): number {
    return this.read.inFlight + this.write.inFlight
  }

  get health(): Health {
    return this.#health
  }

  get quarantinedUntil(): number {
    return this.#health.until
  }

  /** Every set of connections that the node holds. */
  get connections(): readonly Connections[] {
    return [this.read, this.write, this.control]
  }

  isQuarantined(now: number): boolean {
    return isQuarantined(this.#health, now)
  }

  /** A connection or a statement failed for a reason that says nothing about the statement. */
  failed(error: Error, cause: 'unreachable' | 'misconfigured' = 'unreachable'): void {
    this.note(cause === 'misconfigured' ? cause : 'query-failed', error)
  }

  /** A statement was answered. */
  succeeded(): void {
    this.note('query-answered')
  }

  /** Something has happened that says how the node is. */
  note(event: HealthEvent, error?: Error): void {
    const before = this.#health
    const after = nextHealth(before, event, performance.now(), this.#rules(), Math.random())
    if (after === before) return
    this.#health = after
    if (after.cause === 'none') this.lastError = undefined
    else this.lastError = error ?? this.lastError
    if (after.cause !== before.cause || after.notBefore !== before.notBefore) this.#onChange(this)
  }

  /** What was known counts no more. A node that refuses us for good still does. */
  forget(): void {
    this.observed = undefined
    if (this.#health.cause === 'misconfigured' || this.#health === HEALTHY) return
    const changed = this.#health.cause !== 'none'
    this.#health = HEALTHY
    this.lastError = undefined
    if (changed) this.#onChange(this)
  }

  /** Another name, weight, number of connections, …; the server is the same. */
  configure(config: NodeConfig): void {
    this.#config = config
    this.read.configure(config)
    this.write.configure(config)
    this.control.configure(controlConfig(config))
  }
}

/** What a server is instead of the replica that it should be. */
export type WrongServer = 'other-system' | 'not-in-recovery'

/** Told apart from the application's own connections in `pg_stat_activity` and in the server's log. */
const controlConfig = (config: NodeConfig): NodeConfig => ({
  ...config,
  applicationName: `${config.applicationName}${CONTROL_SUFFIX}`,
  // An attempt that hangs must not keep the next one from being made for long; to log in over TLS takes
  // seven round trips, which is more than a second between continents.
  connectTimeoutMs: Math.max(1_000, Math.min(3_000, config.connectTimeoutMs)),
})
