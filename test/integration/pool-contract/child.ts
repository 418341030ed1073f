import { pgPool, clusterPool } from '../../support/contract-subjects.ts'
import type { Subject } from '../../support/contract.ts'
import type { Task } from '../../support/contract-process.ts'
import { scenarios } from './scenarios.ts'

/** One scenario in a process of its own; what it reports goes to standard output, a line each. */
const { subject, servers, scenario } = JSON.parse(process.env['CONTRACT_TASK'] ?? '{}') as Task

const SUBJECTS: Record<Task['subject'], () => Subject> = {
  'pg.Pool on the primary': () => pgPool(servers.primary),
  'pg.Pool on the replica': () => pgPool(servers.replica),
  writer: () => clusterPool('writer', servers),
  reader: () => clusterPool('reader', servers),
}

const report = (fact: unknown): void => {
  process.stdout.write(`${JSON.stringify(fact)}\n`)
}

await scenarios[scenario]?.run(SUBJECTS[subject](), report)
