import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FINDING_CODES } from '../../../src/cli/check-facts.ts'
import { ROOT } from '../../support/documents.ts'

test('every finding of check has the heading that it points to', () => {
  const text = readFileSync(join(ROOT, 'docs/command-line.md'), 'utf8')
  const [, check = ''] = /^## check\n(.*?)^## /ms.exec(text) ?? []
  const headings = [...check.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading)
  expect(new Set(headings)).toEqual(new Set(FINDING_CODES))
})
