import type { FindingKind } from './checker/finding.ts'

/** One text in place of another. */
export interface Change {
  readonly file: string
  /** Stands in the file once; a change of the library that takes it away must give the mutant another one. */
  readonly find: string
  readonly replace: string
}

/** The library with one thing wrong, made by a change of its source while the worker is bundled. */
export interface Mutant {
  readonly name: string
  readonly changes: readonly Change[]
  /** One of these proves that it was found. */
  readonly caughtBy: readonly FindingKind[]
  /** The faults that bring it to light; all when absent. */
  readonly faults?: readonly string[]
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'ignores the token',
    changes: [
      {
        file: 'src/cluster/session.ts',
        find: 'if (token !== undefined) await resume(',
        replace: 'if (token === undefined) await resume(',
      },
    ],
    caughtBy: ['read-your-writes', 'non-monotonic-read'],
    faults: ['slow replay', 'pause replay'],
  },
  {
    name: 'ignores the position that a session must see',
    changes: [
      {
        file: 'src/cluster/follower.ts',
        find: 'return this.#replayed >= lsn && this.#timeline === timeline\n',
        replace: 'return lsn >= 0n && timeline >= 0\n',
      },
    ],
    caughtBy: ['read-your-writes', 'process-read-your-writes'],
    faults: ['slow replay', 'pause replay'],
  },
  {
    name: 'forgets what a session has read',
    changes: [
      {
        file: 'src/cluster/sight.ts',
        find: 'const node = session.lastRead\n',
        replace: 'const node = undefined as Node | undefined\n',
      },
    ],
    caughtBy: ['non-monotonic-read', 'fractured-read'],
    faults: ['slow replay', 'pause replay'],
  },
  {
    name: 'repeats writes whose outcome is unknown',
    changes: [
      {
        file: 'src/cluster/serve-write.ts',
        find: 'const said = asPool && error instanceof pg.DatabaseError\n',
        replace:
          'const said = asPool && error instanceof pg.DatabaseError\n' +
          "if (!said && faultOf(error, 'statement').follows.write !== 'failed') " +
          'return writeOnce(core, config, { asPool }, deadline, leased)\n',
      },
    ],
    caughtBy: ['duplicate'],
    faults: ['way: mute', 'way: cut-after-send'],
  },
  {
    name: 'calls a write that may have been done not done',
    changes: [
      {
        file: 'src/cluster/serve-write.ts',
        find: 'throw said ? error : outcomeOf(error, node.name)\n',
        replace: 'throw said ? error : new Error("not done")\n',
      },
    ],
    caughtBy: ['failed-applied'],
    faults: ['way: mute', 'way: cut-after-send'],
  },
  {
    name: "gives the reads' failures to the caller",
    changes: [
      {
        file: 'src/cluster/serve-read.ts',
        find: "if (fault.follows.read === 'caller' || fault.follows.read === 'refused') throw error\n",
        replace: "if (fault.name !== 'recovery conflict') throw error\n",
      },
    ],
    caughtBy: ['failed-read'],
    faults: ['kill', 'terminate', 'way: reset'],
  },
  {
    name: 'never gives a connection back after an error',
    changes: [
      {
        file: 'src/cluster/lease.ts',
        find: 'if (this.#returned) return\n    this.#returned = true\n',
        replace: 'if (this.#returned || error !== undefined) return\n    this.#returned = true\n',
      },
    ],
    caughtBy: ['connection-leak', 'failed-write', 'not-alive', 'never-returned'],
    faults: ['terminate', 'way: reset', 'kill'],
  },
  {
    name: 'trusts any server that is not in recovery',
    changes: [
      {
        file: 'src/routing/election.ts',
        find: 'const current = claims.filter((claim) => isCurrent(claim, incumbent))\n',
        replace: 'const current = claims.slice(0, 1)\n',
      },
      {
        file: 'src/cluster/admission.ts',
        find: 'if (timeline !== undefined && timeline < (failover.timeline ?? 0))\n',
        replace: 'if (timeline !== undefined && timeline < 0)\n',
      },
    ],
    caughtBy: [
      'two-primaries',
      'stale-primary-read',
      'read-your-writes',
      'process-read-your-writes',
    ],
    faults: ['promotion: the old primary comes back'],
  },
  {
    name: 'drops the timelines of positions',
    changes: [
      {
        file: 'src/nodes/probe.ts',
        find: 'timeline: Number.parseInt(file.slice(0, 8), 16),\n',
        replace: 'timeline: file === undefined ? 0 : 1,\n',
      },
      {
        file: 'src/nodes/probe.ts',
        find: 'return rows[0]?.timeline ?? undefined\n',
        replace: 'return rows[0] === undefined ? undefined : 1\n',
      },
      {
        file: 'src/cluster/catch-up.ts',
        find: 'for (const follower of this.#followers.all()) follower.reset()\n',
        replace: 'void this.#followers\n',
      },
      {
        file: 'src/cluster/follower.ts',
        find: 'return this.#replayed >= lsn && this.#timeline === timeline\n',
        replace: 'return this.#replayed >= lsn && timeline > 0\n',
      },
    ],
    caughtBy: ['read-your-writes', 'process-read-your-writes', 'non-monotonic-read'],
    faults: ['promotion: of a replica that is behind'],
  },
]
