import type { StandbyInspection } from '../nodes/inspection.ts'
import type { CheckFacts, Finding, Lag, NodeAnswer, NodeReport } from './check-facts.ts'
import { finding } from './finding.ts'
import { formatBytes, formatMs } from './format.ts'

/** What is to be said of a server in recovery: how it follows, and what reads and replay do to each other. */
export const standbyFindings = (
  node: NodeReport & { readonly answer: NodeAnswer },
  primary: NodeAnswer | undefined,
  { maxLagMs }: CheckFacts,
): readonly Finding[] => {
  const { standby, lag } = node.answer
  // A primary that is in recovery is wrong altogether, which its role says.
  if (standby === undefined || node.role === 'primary') return []
  return [
    ...replayFindings(node, standby),
    ...(lag === undefined || standby.replayPaused ? [] : [lagFinding(node, lag, maxLagMs)]),
    ...(standby.replayed === undefined ? untoldFindings(node, maxLagMs) : []),
    ...slotFindings(node, standby, primary),
    ...conflictFindings(node, standby, maxLagMs),
  ]
}

const replayFindings = (node: NodeReport, standby: StandbyInspection): readonly Finding[] => {
  const { streaming, replayPaused, applyDelayMs } = standby
  const findings: Finding[] = []
  if (streaming !== undefined) {
    findings.push(
      streaming
        ? finding(node, 'streaming', 'ok', 'is connected to the server that it follows')
        : finding(node, 'streaming', 'problem', 'is not connected to a server that it follows'),
    )
  }
  if (replayPaused) {
    const message = 'replay is paused: it falls behind until pg_wal_replay_resume() is called'
    findings.push(finding(node, 'replay-paused', 'problem', message))
  }
  if (applyDelayMs) {
    const message = `shows each change ${formatMs(applyDelayMs)} late: recovery_min_apply_delay`
    findings.push(finding(node, 'apply-delay', 'warning', message))
  }
  return findings
}

const lagFinding = (
  node: NodeReport,
  { bytes, ms, caughtUp }: Lag,
  maxLagMs: number | undefined,
): Finding => {
  const behind = `${formatBytes(bytes)} behind, ${caughtUp ? '' : 'more than '}${formatMs(ms)}`
  if (maxLagMs !== undefined && ms > maxLagMs) {
    const message = `is ${behind}; with max_lag_ms: ${maxLagMs} it gets no reads now`
    return finding(node, 'lag', 'warning', message)
  }
  return caughtUp
    ? finding(node, 'lag', 'ok', `is ${behind}`)
    : finding(node, 'lag', 'warning', `is ${behind}`)
}

const untoldFindings = (node: NodeReport, maxLagMs: number | undefined): readonly Finding[] => {
  if (maxLagMs === undefined) return []
  const message = `does not tell its position: with max_lag_ms: ${maxLagMs} it gets no reads`
  return [finding(node, 'lag', 'warning', message)]
}

const slotFindings = (
  node: NodeReport,
  { slotName, streaming }: StandbyInspection,
  primary: NodeAnswer | undefined,
): readonly Finding[] => {
  if (slotName === undefined) return []
  const say = (severity: Finding['severity'], message: string): readonly Finding[] => [
    finding(node, 'slot', severity, message),
  ]
  if (slotName === '') {
    return say('note', 'uses no replication slot: after a long interruption it may need a new copy')
  }
  const slots = primary?.slots
  if (slots === undefined) return []
  const slot = slots.find(({ name }) => name === slotName)
  const called = `the slot '${slotName}'`
  if (slot === undefined) {
    return streaming
      ? say('note', `${called} is not on the master: it follows another server, or lost its slot`)
      : say('problem', `${called} does not exist on the master: it cannot connect`)
  }
  if (slot.walStatus === 'lost') {
    return say('problem', `${called} has lost the log that it needs: it must be copied anew`)
  }
  if (!slot.active) {
    const held =
      slot.retainedBytes === undefined ? '' : `, holds back ${formatBytes(slot.retainedBytes)}`
    return say('warning', `${called} is not in use on the master${held}`)
  }
  return slot.walStatus === 'unreserved'
    ? say('warning', `${called} is about to lose the log that it needs: max_slot_wal_keep_size`)
    : say('ok', `uses ${called}`)
}

const conflictFindings = (
  node: NodeReport,
  { hotStandbyFeedback: feedback, maxStandbyStreamingDelayMs: delay }: StandbyInspection,
  maxLagMs: number | undefined,
): readonly Finding[] => {
  if (feedback === undefined || delay === undefined) return []
  return [
    feedback || delay <= 0
      ? finding(
          node,
          'hot-standby-feedback',
          'ok',
          `hot_standby_feedback is ${feedback ? 'on' : 'off'}`,
        )
      : finding(
          node,
          'hot-standby-feedback',
          'note',
          `hot_standby_feedback is off: a clean-up on the master can cancel reads that run longer than ${formatMs(delay)}`,
        ),
    delayFinding(node, feedback, delay, maxLagMs),
  ]
}

const delayFinding = (
  node: NodeReport,
  feedback: boolean,
  delay: number,
  maxLagMs: number | undefined,
): Finding => {
  const say = (severity: Finding['severity'], message: string): Finding =>
    finding(node, 'max-standby-streaming-delay', severity, `max_standby_streaming_delay ${message}`)
  if (delay < 0) return say('warning', 'is -1: one long read can hold replay back without limit')
  if (delay === 0 && !feedback)
    return say(
      'warning',
      'is 0 and hot_standby_feedback off: any clean-up on the master cancels reads',
    )
  return maxLagMs !== undefined && delay > maxLagMs
    ? say('note', `lets a read hold replay back for ${formatMs(delay)}, longer than max_lag_ms`)
    : say('ok', `is ${formatMs(delay)}`)
}
