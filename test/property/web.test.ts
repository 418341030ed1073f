import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findCookie, formatCookie } from '../../src/web/cookies.ts'
import { formatMetrics, Histogram } from '../../src/web/prometheus.ts'
import type { Metric, Sample } from '../../src/web/prometheus.ts'

const anyText = fc.string({ unit: fc.constantFrom(...' ;=,"\\\r\n\0aé🙂%'.split('')) })

test('any Cookie header gives an accepted value or none, and never throws', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), anyText),
      fc.constantFrom('seen', 'a', ''),
      (header, name) => {
        const found = findCookie(header, name, (value) => /^\w+$/.test(value))
        expect(found === undefined || /^\w+$/.test(found)).toBe(true)
      },
    ),
  )
})

test('a cookie is found wherever it stands among others', () => {
  const other = fc
    .tuple(anyText, anyText)
    .map(([name, value]) => `x${name}=${value}`.replaceAll(';', ''))
  const value = fc.stringMatching(/^[\w.-]{1,128}$/)
  fc.assert(
    fc.property(fc.array(other), value, fc.array(other), (before, own, after) => {
      const [pair] = formatCookie('seen', own, {
        path: '/',
        domain: undefined,
        maxAgeMs: 1,
        sameSite: 'lax',
        secure: true,
      }).split('; ')
      const header = [...before, pair, ...after].join('; ')
      expect(findCookie(header, 'seen', (found) => found === own)).toBe(own)
    }),
  )
})

/** Reads the format by its description, knowing nothing of how it was written. */
const parse = (text: string): { help: object; type: object; samples: object[] } => {
  expect(text === '' || text.endsWith('\n')).toBe(true)
  const help: Record<string, string> = {}
  const type: Record<string, string> = {}
  const samples: object[] = []
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.*)$/s.exec(line)
    if (comment !== null) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string]
      const into = kind === 'HELP' ? help : type
      expect(into[name], 'each once').toBeUndefined()
      into[name] = rest.replace(/\\(\\|n)/g, (_, code) => (code === 'n' ? '\n' : '\\'))
      continue
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/s.exec(line)
    expect(sample, line).not.toBeNull()
    const [, name, inner, number] = sample as unknown as [
      string,
      string,
      string | undefined,
      string,
    ]
    const labels: Record<string, string> = {}
    let rest = inner ?? ''
    while (rest !== '') {
      const pair = /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/su.exec(rest)
      expect(pair, rest).not.toBeNull()
      labels[pair![1]!] = pair![2]!.replace(/\\(.)/gs, (_, code) => (code === 'n' ? '\n' : code))
      rest = rest.slice(pair![0].length)
    }
    const value = number.endsWith('Inf') ? Infinity * (number[0] === '-' ? -1 : 1) : Number(number)
    samples.push({ name, labels, value })
  }
  return { help, type, samples }
}

const nameOf = fc.stringMatching(/^m_[a-z0-9_]{0,20}$/)
const labelText = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), anyText)
const labels = fc.dictionary(nameOf, labelText, { noNullPrototype: true, maxKeys: 4 })
const samples: fc.Arbitrary<Sample[]> = fc.array(
  fc.record({ labels, value: fc.oneof(fc.double(), fc.integer()) }),
)

test('the text of metrics says what they are, whatever is in labels and help', () => {
  const metrics: fc.Arbitrary<Metric[]> = fc.uniqueArray(
    fc.record({
      name: nameOf,
      type: fc.constantFrom('counter', 'gauge'),
      help: labelText,
      samples,
    }),
    { selector: ({ name }) => name },
  )
  fc.assert(
    fc.property(metrics, (all) => {
      const parsed = parse(formatMetrics(all))
      expect(parsed.help).toEqual(Object.fromEntries(all.map(({ name, help }) => [name, help])))
      expect(parsed.type).toEqual(Object.fromEntries(all.map(({ name, type }) => [name, type])))
      expect(parsed.samples).toEqual(
        all.flatMap(({ name, samples }) =>
          samples.map((sample) => ({ name, ...sample, value: sample.value + 0 })),
        ),
      )
    }),
  )
})

test('a histogram is cumulative and loses nothing', () => {
  const bounds = [0.1, 1, 10]
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true })), (values) => {
      const histogram = new Histogram(bounds)
      for (const value of values) histogram.observe(value)
      const found = histogram.samples.map(({ labels, value }) => [labels['le'], value])
      const upTo = (bound: number): number => values.filter((value) => value <= bound).length
      expect(found.slice(0, 4)).toEqual([
        ...bounds.map((bound) => [String(bound), upTo(bound)]),
        ['+Inf', values.length],
      ])
      expect(histogram.samples.at(-1)).toMatchObject({ suffix: '_count', value: values.length })
    }),
  )
})
