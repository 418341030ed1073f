import type { KeyDefinition, ValueOf } from './kinds.ts'
import { isSecret } from './keys.ts'
import { readParameters } from './parameters.ts'
import { INVALID, expandScalar } from './reading.ts'
import type { Reading } from './reading.ts'
import { hasControlCharacter, readScalar } from './scalars.ts'
import { readSsl } from './ssl-choice.ts'
import { describeFound } from './tree.ts'
import type { Tree } from './tree.ts'

/** Checks one value against its key's definition, after expressions in it were replaced. */
export const readValue = <D extends KeyDefinition>(
  tree: Tree,
  definition: D,
  reading: Reading,
): ValueOf<D['kind']> | typeof INVALID => {
  const { kind } = definition
  const value =
    kind.type === 'ssl'
      ? readSsl(tree, reading)
      : kind.type === 'parameters'
        ? readParameters(tree, reading)
        : kind.type === 'texts'
          ? readTexts(tree, reading)
          : readScalar(tree, kind, isSecret(definition), reading)
  // `Kind` and `ValueOf` list the same cases; the compiler cannot connect them through the branches above.
  return value as ValueOf<D['kind']> | typeof INVALID
}

const readTexts = (tree: Tree, reading: Reading): readonly string[] | typeof INVALID => {
  const { issues } = reading
  if (tree.kind === 'scalar') {
    const expanded = expandScalar(tree, reading)
    if (expanded === INVALID) return INVALID
    // A variable holds one text: a list in it is separated by commas.
    if (expanded.names.length > 0) {
      const parts = (expanded.value as string).split(',').map((part) => part.trim())
      return parts.filter((part) => part !== '' && !hasControlCharacter(part))
    }
  }
  if (tree.kind !== 'list') {
    issues.add(
      `found ${describeFound(tree)}, expected a list of texts, such as [analytics]`,
      tree.place,
    )
    return INVALID
  }
  const texts = tree.items.map((item) => readScalar(item, { type: 'text' }, false, reading))
  return texts.includes(INVALID) ? INVALID : (texts as string[])
}
