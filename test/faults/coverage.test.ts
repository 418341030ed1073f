import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FAULTS } from '../../src/routing/error-table.ts'

test('every row of the table of faults is injected', () => {
  const names: string[] = FAULTS.map(({ name }) => name)
  const tested = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'))
    .flatMap((text) => [...text.matchAll(/\brow\(\s*'([^']+)'/g)].map(([, name]) => name ?? ''))
  expect([...new Set(tested)].toSorted((a, b) => a.localeCompare(b))).toEqual(
    names.toSorted((a, b) => a.localeCompare(b)),
  )
})
