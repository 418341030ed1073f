// What importing the library costs, as a ratio to importing pg alone. `npm run build` first.
// usage: node bench/import.mjs [rounds]
import { execFileSync } from 'node:child_process'

const rounds = Number(process.argv[2] ?? 15)
const PROGRAM =
  'const start = performance.now(); await import(process.argv[1]); console.log(performance.now() - start)'
const measure = (module) =>
  Number(
    execFileSync(process.execPath, ['--input-type=module', '-e', PROGRAM, module], {
      encoding: 'utf8',
    }),
  )
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const times = { pg: [], segregato: [] }
// In turn, so that a machine whose speed drifts is fair to both.
for (let round = 0; round < rounds; round++) {
  for (const module of Object.keys(times)) times[module].push(measure(module))
}
const [pg, segregato] = [median(times.pg), median(times.segregato)]
console.log(
  `import pg ${pg.toFixed(1)} ms, import segregato ${segregato.toFixed(1)} ms, ratio ${(segregato / pg).toFixed(2)} (goal: at most 1.5)`,
)
