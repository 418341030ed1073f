/** What a chaos run leaves behind, and what the checker decides from: data, nothing else. */

/** What a call promises its caller. `session`: of an explicit session; `process`: of the process's own. */
export type Promised = 'session' | 'process' | 'strong' | 'eventual'

/** `failed`: certainly not done. `open`: the call never returned, such as that of a killed process. */
export type Outcome = 'ok' | 'failed' | 'unknown' | 'open'

/** Where a statement ran, as the server itself says. */
export interface ServerSays {
  readonly port: number
  readonly inRecovery: boolean
}

/** One number was put at the end of a key's list. */
export interface Append {
  readonly type: 'append'
  readonly key: string
  readonly value: number
  /** Present when the statement was answered; its transaction may have failed all the same. */
  readonly server?: ServerSays
  /** Where the server's log of changes stood, before the commit. */
  readonly lsn?: bigint
  readonly timeline?: number
}

/** A key's whole list was read. */
export interface Read {
  readonly type: 'read'
  readonly key: string
  readonly values: readonly number[]
  readonly server?: ServerSays
  /** Of the primary that answered. */
  readonly timeline?: number
}

export type Step = Append | Read

/** One call of the library. Times are milliseconds of the machine's monotonic clock. */
export interface Operation {
  readonly id: string
  /** One caller: his calls follow one another. */
  readonly session: string
  /** The process that made the call; another name after a restart. */
  readonly process: string
  /** How the call was made, such as `transaction` or `model`. */
  readonly how: string
  readonly promised: Promised
  /** It stays on one server from its first statement to its last. */
  readonly bound?: boolean | undefined
  readonly invoked: number
  readonly returned: number | undefined
  readonly outcome: Outcome
  readonly error?: string | undefined
  /** The routing record of the library. */
  readonly node?: string | undefined
  readonly role?: 'primary' | 'replica' | undefined
  readonly reason?: string | undefined
  /** The library has said that it could not show what the process has written. */
  readonly isStale?: boolean | undefined
  readonly deadlineMs?: number | undefined
  /** How long the process's event loop stood still during the call. */
  readonly stalledMs?: number | undefined
  readonly steps: readonly Step[]
}

/** What the nemesis did, from the moment before to the moment when the servers were whole again. */
export interface Fault {
  readonly kind: string
  readonly start: number
  readonly end: number
  /** The nodes that could not serve, or not well. */
  readonly affects: readonly string[]
  /** Whether the primary of that time was one of them. */
  readonly hitsPrimary: boolean
  /** The processes that it ended. */
  readonly ends?: readonly string[]
}

/** How far a server that accepts writes had come at a time. */
export interface Sample {
  /** When it was asked. */
  readonly at: number
  readonly timeline: number
  readonly lsn: bigint
}

/** A timeline that ended where another one forked off, from the last primary's history file. */
export interface Branch {
  readonly timeline: number
  readonly end: bigint
}

/** Connections of one process to one node, for one purpose, as the library counts them. */
export interface Held {
  readonly node: string
  readonly purpose: string
  readonly total: number
  readonly idle: number
  readonly waiting: number
}

/** What one process holds when nothing runs any more. */
export interface Leftover {
  readonly process: string
  readonly held: readonly Held[]
  /** Connections by node as `pg_stat_activity` shows them. */
  readonly backends: Readonly<Record<string, number>>
  /** Sessions of the servers that are `idle in transaction`. */
  readonly idleInTransaction: number
}

/** A process's heap after a forced collection. */
export interface Heap {
  readonly process: string
  readonly at: number
  readonly bytes: number
}

/** Something that a process must never say: a warning of Node.js, an uncaught error, an unexpected end. */
export interface Complaint {
  readonly process: string
  readonly message: string
}

export type Lists = ReadonlyMap<string, readonly number[]>

/** Everything about one run. */
export interface History {
  readonly operations: readonly Operation[]
  /** The final state of every node; that of `primary` is the truth. */
  readonly final: ReadonlyMap<string, Lists>
  readonly primary: string
  /** The last primary's timeline. */
  readonly timeline: number
  /** The port of each node's server. */
  readonly ports: Readonly<Record<string, number>>
  /** The timelines that the last primary's history went through. */
  readonly branches: readonly Branch[]
  readonly samples: readonly Sample[]
  readonly faults: readonly Fault[]
  /** When the last fault was over and the servers were whole again. */
  readonly healedAt: number
  /** Statements that replicas refused because they write (25006), by node. */
  readonly refusedWrites: Readonly<Record<string, number>>
  readonly leftovers: readonly Leftover[]
  readonly heaps: readonly Heap[]
  readonly complaints: readonly Complaint[]
}
