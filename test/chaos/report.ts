import type { Verdict } from './checker/check.ts'
import type { Finding } from './checker/finding.ts'
import type { History, Operation } from './history.ts'

const SHOWN_PER_KIND = 3

/** A run in words: what happened, what was lost, what is wrong. */
export const report = (history: History, { findings, account }: Verdict): string =>
  [
    ...callTable(history.operations),
    '',
    `faults    ${counted(history.faults.map(({ kind }) => kind))}`,
    `errors    ${counted(errorsOf(history.operations)) || 'none'}`,
    `reads by  ${counted(readersOf(history.operations))}`,
    `writes    ${account.attempted} attempted = ${account.acked} acked + ${account.failed} failed + ${account.unknown} unknown + ${account.open} open; ` +
      `${account.applied} of the unknown and open ones applied, ${account.lost} of the acked ones lost with a timeline`,
    `latest    ${Math.round(overDeadline(history.operations))} ms after its deadline`,
    `heap      ${heapLine(history)}`,
    '',
    ...(findings.length === 0 ? ['No findings.'] : findingLines(findings, history)),
  ].join('\n')

const callTable = (operations: readonly Operation[]): readonly string[] => {
  const rows = new Map<string, Operation[]>()
  for (const operation of operations) {
    const name = `${operation.how}, ${operation.promised}`
    const known = rows.get(name)
    if (known === undefined) rows.set(name, [operation])
    else known.push(operation)
  }
  const line = (...[name = '', ...cells]: readonly string[]): string =>
    name.padEnd(40) + cells.map((cell) => cell.padStart(9)).join('')
  return [
    line('calls', 'ok', 'failed', 'unknown', 'open', 'p50 ms', 'p99 ms'),
    ...[...rows]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, calls]) => {
        const count = (outcome: string): string =>
          String(calls.filter((call) => call.outcome === outcome).length)
        const times = calls
          .flatMap(({ invoked, returned }) => (returned === undefined ? [] : [returned - invoked]))
          .toSorted((a, b) => a - b)
        const at = (share: number): string =>
          (times[Math.floor(times.length * share)] ?? 0).toFixed(1)
        return line(
          name,
          count('ok'),
          count('failed'),
          count('unknown'),
          count('open'),
          at(0.5),
          at(0.99),
        )
      }),
  ]
}

const counted = (names: readonly string[]): string => {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

const errorsOf = (operations: readonly Operation[]): readonly string[] =>
  operations.flatMap(({ error }) => (error === undefined ? [] : [error]))

const readersOf = (operations: readonly Operation[]): readonly string[] =>
  operations.flatMap(({ steps, role, reason }) =>
    role === undefined || steps.some(({ type }) => type === 'append')
      ? []
      : [`${role} (${reason})`],
  )

const overDeadline = (operations: readonly Operation[]): number =>
  operations.reduce(
    (most, { invoked, returned, deadlineMs, stalledMs = 0 }) =>
      returned === undefined || deadlineMs === undefined
        ? most
        : Math.max(most, returned - invoked - deadlineMs - stalledMs),
    0,
  )

const heapLine = ({ heaps }: History): string =>
  [...new Set(heaps.map(({ process }) => process))]
    .map((process) => {
      const sizes = heaps
        .filter((heap) => heap.process === process)
        .map(({ bytes }) => (bytes / 1024 ** 2).toFixed(0))
      return `${process} ${sizes[0]} to ${sizes.at(-1)} MB`
    })
    .join(', ')

const findingLines = (findings: readonly Finding[], history: History): readonly string[] => {
  const kinds = new Map<string, Finding[]>()
  for (const one of findings) kinds.set(one.kind, [...(kinds.get(one.kind) ?? []), one])
  const operations = new Map(history.operations.map((operation) => [operation.id, operation]))
  return [...kinds].flatMap(([kind, found]) => [
    `${kind}: ${found.length}`,
    ...found.slice(0, SHOWN_PER_KIND).flatMap(({ message, operations: ids }) => [
      `  ${message}`,
      ...ids.slice(0, SHOWN_PER_KIND).flatMap((id) => {
        const operation = operations.get(id)
        return operation === undefined ? [] : [`    ${describe(operation, history)}`]
      }),
    ]),
  ])
}

const describe = (operation: Operation, history: History): string => {
  const { id, session, how, promised, invoked, returned, outcome, error, node, reason } = operation
  const start = history.operations.reduce((first, each) => Math.min(first, each.invoked), Infinity)
  const at = (time: number | undefined): string =>
    time === undefined ? '…' : ((time - start) / 1_000).toFixed(3)
  const during = history.faults
    .filter((fault) => fault.start <= (returned ?? Infinity) && fault.end >= invoked)
    .map(({ kind, affects }) => `${kind} ${affects.join(' ')}`.trim())
  const steps = operation.steps.map((step) =>
    step.type === 'append'
      ? `${step.key} << ${step.value}`
      : `${step.key} = …${step.values.slice(-3).join(' ')} (${step.values.length})`,
  )
  return (
    `${id} ${session} ${how} (${promised}) ${at(invoked)} to ${at(returned)} s ${outcome}` +
    `${error === undefined ? '' : ` ${error}`} on ${node ?? '?'} (${reason ?? '?'}): ${steps.join(', ')}` +
    (during.length === 0 ? '' : ` [during ${during.join(' and ')}]`)
  )
}
