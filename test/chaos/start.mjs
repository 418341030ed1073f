// Node.js 20 does not run TypeScript: bundles main.ts beside itself and runs it.
import { rmSync } from 'node:fs'
import { rolldown } from 'rolldown'

const file = `test/chaos/dist/main-${process.pid}.js`
const build = await rolldown({
  input: 'test/chaos/main.ts',
  external: [/^[a-z@]/],
  platform: 'node',
  transform: { target: 'es2023' },
})
await build.write({ file, format: 'esm', sourcemap: 'inline', codeSplitting: false })
await build.close()
try {
  process.setSourceMapsEnabled(true)
  await import(new URL(`../../${file}`, import.meta.url).href)
} finally {
  rmSync(file, { force: true })
}
