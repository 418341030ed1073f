const LEVELS = '▁▂▃▄▅▆▇█'

/** A sample that is not known. */
const GAP = '·'

/**
 * The last samples as one character each, the newest at the right. All values are drawn on the scale
 * from 0 to `top`, so that several graphs can be compared.
 */
export const sparkline = (
  samples: readonly (number | undefined)[],
  width: number,
  top: number,
): string =>
  samples
    .slice(-width)
    .map((value) => (value === undefined ? GAP : levelOf(value, top)))
    .join('')

const levelOf = (value: number, top: number): string => {
  const level = top <= 0 ? 0 : Math.floor((value / top) * LEVELS.length)
  return LEVELS[Math.min(Math.max(level, 0), LEVELS.length - 1)]!
}
