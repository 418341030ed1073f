/**
 * What applications can import, with all types, in two forms:
 *
 * - `etc/*.api.md`, in which every change of the public surface shows in a review;
 * - `dist/**.d.cts`, one file an entry, for TypeScript that compiles to CommonJS: `require` gives it
 *   the same modules, but under `module: node16` TypeScript takes them only from declarations of CommonJS.
 *
 *     node test/package/api.mjs            fails when a report is out of date
 *     node test/package/api.mjs --update   writes the reports
 */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'

const ROOT = resolve(import.meta.dirname, '../..')
const FILE = join(ROOT, 'api-extractor.json')
const ENTRIES = {
  segregato: join(ROOT, 'dist/index.d.ts'),
  'segregato-testing': join(ROOT, 'dist/testing/start-cluster.d.ts'),
  'segregato-web': join(ROOT, 'dist/web/web.d.ts'),
}
/** Its own advice names files and commands that this project does not have. */
const UNSAID = new Set(['console-preamble', 'console-api-report-not-copied'])
const localBuild = process.argv.includes('--update')

mkdirSync(join(ROOT, 'etc'), { recursive: true })
for (const [name, entry] of Object.entries(ENTRIES)) {
  const configObject = ExtractorConfig.loadFile(FILE)
  configObject.mainEntryPointFilePath = entry
  configObject.apiReport.reportFileName = name
  configObject.dtsRollup.untrimmedFilePath = entry.replace(/\.ts$/, '.cts')
  const { errorCount, apiReportChanged } = Extractor.invoke(
    ExtractorConfig.prepare({
      configObject,
      configObjectFullPath: FILE,
      packageJsonFullPath: join(ROOT, 'package.json'),
    }),
    {
      localBuild,
      messageCallback: (message) => {
        message.handled = UNSAID.has(message.messageId)
      },
    },
  )
  const isOutdated = apiReportChanged && !localBuild
  if (isOutdated)
    process.stderr.write(
      `etc/${name}.api.md is out of date: run 'npm run api:update' and commit it\n`,
    )
  if (errorCount > 0 || isOutdated) process.exitCode = 1
}
