import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { npm, ROOT } from './scratch.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Holds the package and the projects that it is installed into. */
    workshop: string
    /** The package as it would be published. */
    tarball: string
  }
}

/** Packs the package once, as publishing does. */
const setup = async ({ provide }: TestProject): Promise<() => void> => {
  const directory = mkdtempSync(join(tmpdir(), 'segregato-package-'))
  // The testing kit's servers run as another user when this is root.
  chmodSync(directory, 0o755)
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  try {
    const output = await npm(['pack', '--silent', '--pack-destination', directory], ROOT)
    provide('workshop', directory)
    provide('tarball', join(directory, output.trim().split('\n').at(-1)!))
  } catch (error) {
    remove()
    throw error
  }
  return remove
}

// oxlint-disable-next-line import/no-default-export -- vitest wants it so
export default setup
