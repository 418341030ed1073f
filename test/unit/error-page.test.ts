import { rolldown } from 'rolldown'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as errors from '../../src/errors.ts'
import { ROOT } from '../support/documents.ts'
import { errorPage, missingIn, readErrorClasses } from '../support/error-page.ts'

const classes = readErrorClasses()

test('every error says what happened, whether it may be repeated and what to do', () => {
  const exported = Object.entries(errors)
    .filter(([, value]) => typeof value === 'function')
    .map(([name]) => name)
  expect(classes.map(({ name }) => name).toSorted()).toEqual(exported.toSorted())
  expect(classes.filter(({ code }) => code !== undefined).length).toBeGreaterThan(20)
  expect(classes.flatMap(missingIn)).toEqual([])
})

test('a class without them is found', () => {
  const [bare] = readErrorClasses(`
    /** Says little. @remedy Look. */
    export class BareError extends SegregatoError {
      readonly code = 'SEGREGATO_BARE'
      readonly node: string
    }`)
  expect(missingIn(bare!)).toEqual(['BareError: @outcome', 'BareError: @repeat', 'BareError.node'])
})

test('codes are told apart', () => {
  const codes = classes.flatMap(({ code }) => code ?? [])
  expect(new Set(codes).size).toBe(codes.length)
})

test('docs/errors.md is up to date: npm run docs:errors', async () => {
  await expect(await errorPage(classes)).toMatchFileSnapshot(join(ROOT, 'docs/errors.md'))
})

test('errors keep their names where classes lose them', async () => {
  const bundle = await rolldown({ input: join(ROOT, 'src/errors.ts'), platform: 'node' })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  const source = Buffer.from(output[0].code).toString('base64')
  const minified = (await import(
    /* @vite-ignore */ `data:text/javascript;base64,${source}`
  )) as typeof errors
  expect(minified.ConfigError.name).not.toBe('ConfigError')
  const error = new minified.ConfigError([{ message: 'wrong' }])
  expect(error.name).toBe('ConfigError')
  expect(String(error)).toBe('ConfigError: wrong')
  expect(error.stack).toMatch(/^ConfigError: wrong/)
  class OwnError extends errors.TestClusterError {}
  expect(new OwnError('x').name).toBe('OwnError')
})
