import { expect, test } from 'vitest'
import type { ClientBase } from 'pg'
import type { QuestionLine } from '../../../src/cluster/question-line.ts'
import { WritePositions } from '../../../src/cluster/write-positions.ts'
import type { Node } from '../../../src/nodes/node.ts'
import type { Position } from '../../../src/nodes/position.ts'
import { Session } from '../../../src/routing/session.ts'

/** A server on a timeline whose answers come when the test lets them. */
const serverOn = (timeline: number, lsn: string) => {
  const held: (() => void)[] = []
  let holds = false
  const rowsFor = (text: string): readonly unknown[] => {
    if (text.includes('pg_control_system')) return [{ id: '7' }]
    if (text.includes('pg_walfile_name'))
      return [
        {
          file: `${String(timeline).padStart(8, '0')}0000000000000001`,
          asynchronous: false,
          segment: '16777216',
        },
      ]
    return [[lsn]]
  }
  const client = {
    query: (query: string | { readonly text: string }) =>
      new Promise((resolve) => {
        const answer = (): void =>
          resolve({ rows: rowsFor(typeof query === 'string' ? query : query.text) })
        if (holds) held.push(answer)
        else answer()
      }),
  }
  const line = {
    ask: (question: (client: ClientBase) => Promise<unknown>) =>
      question(client as unknown as ClientBase),
  }
  return {
    line: line as unknown as QuestionLine,
    freeze: () => (holds = true),
    /** Lets the next answer come. */
    answer: async () => {
      held.shift()?.()
      await new Promise(setImmediate)
    },
    thaw: () => {
      holds = false
      for (const answer of held.splice(0)) answer()
    },
  }
}

test('answers of the old primary that come after a promotion put no write on its timeline', async () => {
  const old = serverOn(1, '0/5000100')
  const promoted = serverOn(2, '0/4000100')
  let primary = old
  const settled: (Position | undefined)[] = []
  const session = new Session<Node>(true)
  const writes = new WritePositions(
    () => primary.line,
    (_session, position) => settled.push(position),
  )
  old.freeze()
  const asked = writes.present(false)
  writes.reset()
  primary = promoted
  // Its timeline and its identifier are told, its position is not yet.
  await old.answer()
  await old.answer()
  // What commits now has told its position together with its result.
  writes.committed(session, false, 0x4000200n)
  old.thaw()
  // Of the old history: it counts for nobody.
  expect(await asked).toBeUndefined()
  await writes.settled(session)
  expect(settled).toMatchObject([{ timeline: 2 }])
})
