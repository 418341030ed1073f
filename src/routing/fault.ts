/**
 * Where a failure shows.
 *
 * - `connect`: before a connection could be had: nothing of the statement was sent
 * - `statement`: in place of the answer
 * - `idle`: on a connection on which no statement is running
 * - `notice`: beside an answer, or before a connection ends without a word
 */
export type FaultPlace = 'connect' | 'statement' | 'idle' | 'notice'

/** What an error, or a notice, looks like. All that is given must fit. */
export interface Signal {
  /** SQLSTATEs, names of `errno` and of TLS errors; one that ends with `*` stands for all that begin so. */
  readonly codes?: readonly string[]
  /** Functions of the server's source, in the same way. They are not translated, as messages are. */
  readonly routines?: readonly string[]
  /** How messages of `pg` itself begin, which has no codes. Those of a server are translated, and never looked at. */
  readonly messages?: readonly string[]
  /** Who made it: the server, and whether it then ends the connection; or `pg`, the system or ourselves. */
  readonly from?: 'server' | 'server, fatal' | 'client'
  /** The password could not be had: its function or its file failed. */
  readonly password?: true
}

/** One case. */
export interface Fault {
  readonly name: string
  readonly places: readonly FaultPlace[]
  /** Any of these. */
  readonly signals: readonly Signal[]
  readonly follows: Consequences
}

/** What follows from a failure. */
export interface Consequences {
  /**
   * What a read outside of transactions does.
   *
   * - `elsewhere`: another node is asked
   * - `replica`: another replica is asked, never the primary
   * - `primary`: the primary is asked
   * - `refused`: it was a write: `StrictReadModelError`
   * - `caller`: the error is the caller's
   */
  readonly read: 'elsewhere' | 'replica' | 'primary' | 'refused' | 'caller'
  /**
   * What has become of a write.
   *
   * - `failed`: certainly nothing
   * - `unknown`: it may have been applied
   * - `local`: the primary has it, and perhaps no other server
   */
  readonly write: 'failed' | 'unknown' | 'local'
  /**
   * What it says about the node.
   *
   * - `none`: nothing
   * - `eject`: it is left alone for a while
   * - `suspect`: it is asked at once whether it answers, and left alone when it does not
   * - `cool down`: it has no room for more connections: nobody opens another one for a while
   * - `disable`: it refuses us for good, until somebody mends it
   * - `ask role`: it may not be what we took it for
   */
  readonly node: 'none' | 'eject' | 'suspect' | 'cool down' | 'disable' | 'ask role'
  /** What becomes of the connection; `cancel`: destroyed, and what runs on it is cancelled. */
  readonly client: 'none' | 'keep' | 'destroy' | 'cancel'
  /** Whether a transaction as a whole can be repeated. */
  readonly repeat?: true
}
