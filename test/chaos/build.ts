import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { rolldown } from 'rolldown'
import type { Plugin } from 'rolldown'
import type { Change, Mutant } from './mutants.ts'

/** The source of a file with the change of a mutant. */
export const mutate = (name: string, { file, find, replace }: Change, source: string): string => {
  const parts = source.split(find)
  if (parts.length === 2) return parts.join(replace)
  throw new Error(
    `The mutant that ${name} finds its text ${parts.length - 1} times in ${file}, not once: ` +
      'the library has changed, so give it the text that does the same now (test/chaos/mutants.ts)',
  )
}

const mutation = ({ name, changes }: Mutant): Plugin => ({
  name: 'mutation',
  load(id) {
    const own = changes.filter(({ file }) => id === resolve(file))
    if (own.length === 0) return null
    const source = readFileSync(id, 'utf8')
    return {
      code: own.reduce((code, change) => mutate(name, change, code), source),
      moduleType: 'ts',
    }
  },
})

/** Bundles a program of this folder with the library in it: with all its parts right, or a mutant's. */
export const bundle = async (entry: string, output: string, mutant?: Mutant): Promise<void> => {
  const build = await rolldown({
    input: entry,
    external: [/^[a-z@]/],
    platform: 'node',
    plugins: mutant === undefined ? [] : [mutation(mutant)],
    transform: { target: 'es2023' },
  })
  await build.write({ file: output, format: 'esm', sourcemap: true, codeSplitting: false })
  await build.close()
}
