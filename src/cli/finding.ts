import type { Finding, FindingCode, Severity } from './check-facts.ts'

/** The document that says, under a heading for each code, what to do. */
const DOCUMENT = 'docs/command-line.md'

/** Makes a finding; whatever is not in order names the place in the documentation. */
export const finding = (
  node: { readonly name: string },
  code: FindingCode,
  severity: Severity,
  message: string,
): Finding => ({
  severity,
  code,
  node: node.name,
  message,
  ...(severity === 'ok' ? {} : { docs: `${DOCUMENT}#${code}` }),
})
