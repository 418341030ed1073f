import { describe, expect, test } from 'vitest'
import { EXECUTE } from '../../../src/cluster/statement.ts'
import { InvalidArgumentError } from '../../../src/errors.ts'
import { health, ready } from '../../../src/web/probes.ts'
import { bytesOf, listen } from './http.ts'

interface Asked {
  readonly reads: number
  readonly writes: number
}

/** A cluster whose servers answer as told, or not at all. */
const fake = (answers: { read?: Error; write?: Error | string; state?: string }) => {
  const asked = { reads: 0, writes: 0 }
  const cluster = {
    status: () => ({ state: answers.state ?? 'open' }),
    reader: {
      [EXECUTE]: async () => {
        asked.reads++
        if (answers.read !== undefined) throw answers.read
        return { rows: [] }
      },
    },
    writer: {
      [EXECUTE]: async () => {
        asked.writes++
        if (answers.write instanceof Error) throw answers.write
        return { rows: [{ transaction_read_only: answers.write ?? 'off' }] }
      },
    },
  }
  return { asked: asked as Asked, cluster: cluster as never }
}

const SECRET = new Error('password of app@secret.internal is wrong')

describe('ready', () => {
  test.each<[string, Parameters<typeof fake>[0], number, object]>([
    ['all is well', {}, 200, { status: 'ready', reads: 'ok', writes: 'ok' }],
    ['no primary', { write: SECRET }, 200, { status: 'ready', reads: 'ok', writes: 'failing' }],
    [
      'a primary in recovery',
      { write: 'on' },
      200,
      { status: 'ready', reads: 'ok', writes: 'failing' },
    ],
    [
      'no node',
      { read: SECRET, write: SECRET },
      503,
      { status: 'unready', reads: 'failing', writes: 'failing' },
    ],
    ['closed', { state: 'closed' }, 503, { status: 'closed', reads: 'failing', writes: 'failing' }],
  ])('%s', async (_name, answers, status, body) => {
    const response = await ready(fake(answers).cluster).answer()
    expect(response.status).toBe(status)
    const text = await response.text()
    expect(JSON.parse(text)).toEqual(body)
    expect(text).not.toContain('secret')
  })

  test('one question serves all who ask at that time', async () => {
    const { asked, cluster } = fake({})
    const handler = ready(cluster, { maxAgeMs: 60_000 })
    await Promise.all([handler.answer(), handler.answer()])
    await handler.answer()
    expect(asked).toEqual({ reads: 1, writes: 1 })
  })

  test('and is asked again when its time is over', async () => {
    const { asked, cluster } = fake({})
    const handler = ready(cluster, { maxAgeMs: 1e-9 })
    await handler.answer()
    await handler.answer()
    expect(asked.reads).toBe(2)
  })

  test('times that are none are refused', () => {
    const { cluster } = fake({})
    for (const options of [{ timeoutMs: 0 }, { maxAgeMs: NaN }, { timeoutMs: '1s' as never }])
      expect(() => ready(cluster, options)).toThrow(InvalidArgumentError)
  })
})

test('GET and HEAD are answered, other methods are refused', async () => {
  const port = await listen(health())
  expect(await bytesOf(port)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n\{"status":"ok"\}\n$/)
  expect(await bytesOf(port, 'HEAD')).toMatch(
    /^HTTP\/1\.1 200 OK\r\n[^]*Content-Length: 16\r\n[^]*\r\n\r\n$/,
  )
  expect(await bytesOf(port, 'DELETE')).toMatch(/^HTTP\/1\.1 405 [^]*Allow: GET, HEAD\r\n/)
})
