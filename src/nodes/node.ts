import type { NodeConfig } from '../config/types.ts'
import { PooledConnections } from './connections.ts'
import type { Connections } from './connections.ts'
import { afterFailure, HEALTHY, isQuarantined } from './health.ts'
import type { Health, QuarantineTimes } from './health.ts'
import type { BeginWrite, PoolOptions, Purpose } from './options.ts'
import { StateProbe } from './state.ts'
import type { Questioned, ServerState } from './state.ts'

/** What the names of the connections end with by which the library asks about the server itself. */
export const CONTROL_SUFFIX = ' (control)'

/** One configured server with its own connections and what is known of its health. */
export class Node {
  readonly config: NodeConfig
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
  /** The last failure, while the node is not healthy. */
  lastError: Error | undefined
  #health: Health = HEALTHY
  readonly #times: QuarantineTimes
  readonly #onChange: (node: Node) => void

  constructor(
    config: NodeConfig,
    options: {
      readonly pool: PoolOptions
      readonly quarantine: QuarantineTimes
      /** See `BeginWrite`. */
      readonly beginWrite?: BeginWrite
      /** Called about each new connection for reading or writing; see `Admit`. */
      readonly admit?: (node: Node, client: Questioned, purpose: Purpose) => Promise<void>
      /** Called with what a connection hears about its server; see `OnRecovery`. */
      readonly onRecovery?: (node: Node, inRecovery: boolean) => void
      /** Called once per change of health, never per failure. */
      readonly onChange: (node: Node) => void
    },
  ) {
    this.config = config
    this.role = config.role
    this.#times = options.quarantine
    this.#onChange = options.onChange
    const { pool, beginWrite, admit, onRecovery } = options
    const hooks = {
      admit: admit && ((client: Questioned, purpose: Purpose) => admit(this, client, purpose)),
      onRecovery: onRecovery && ((inRecovery: boolean) => onRecovery(this, inRecovery)),
    }
    this.read = new PooledConnections(config, 'read', pool, hooks)
    this.control = new PooledConnections(controlConfig(config), 'control', {}, { max: 1 })
    this.write = new PooledConnections(config, 'write', pool, { ...hooks, beginWrite })
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
    const before = this.#health
    this.lastError = error
    this.#health = afterFailure(before, cause, performance.now(), this.#times, Math.random())
    if (this.#health !== before) this.#onChange(this)
  }

  /** A statement was answered. */
  succeeded(): void {
    if (this.#health === HEALTHY) return
    this.#health = HEALTHY
    this.lastError = undefined
    this.#onChange(this)
  }
}

/** Told apart from the application's own connections in `pg_stat_activity` and in the server's log. */
const controlConfig = (config: NodeConfig): NodeConfig => ({
  ...config,
  applicationName: `${config.applicationName}${CONTROL_SUFFIX}`,
})
