import pc from 'picocolors'

export type Colors = ReturnType<typeof pc.createColors>

/** Colours for one output: in a terminal, or where `FORCE_COLOR` says so; `NO_COLOR` is above both. */
export const colorsFor = (stream: { readonly isTTY?: boolean }): Colors => {
  const { NO_COLOR, FORCE_COLOR = '', TERM } = process.env
  const isForced = !['', '0', 'false'].includes(FORCE_COLOR)
  return pc.createColors(!NO_COLOR && (isForced || (stream.isTTY === true && TERM !== 'dumb')))
}

/** A cell: its text, and how it is painted once it has its width. */
export interface Cell {
  readonly text: string
  readonly paint?: (text: string) => string
}

/** Lines of aligned columns, two spaces apart. Nothing follows the last cell of a line. */
export const alignRows = (rows: readonly (readonly (Cell | string)[])[]): readonly string[] => {
  const cells = rows.map((row) =>
    row.map((cell) => (typeof cell === 'string' ? { text: cell } : cell)),
  )
  const widths: number[] = []
  for (const row of cells) {
    row.forEach(({ text }, index) => {
      widths[index] = Math.max(widths[index] ?? 0, widthOf(text))
    })
  }
  return cells.map((row) =>
    row
      .map(({ text, paint = (plain: string) => plain }, index) => {
        const isLast = row.slice(index + 1).every((cell) => cell.text === '')
        return isLast
          ? paint(text)
          : paint(text) + ' '.repeat((widths[index] ?? 0) - widthOf(text) + 2)
      })
      .join('')
      .trimEnd(),
  )
}

/** Columns of a terminal. Names may hold any character: those that are two columns wide are rare, and not counted. */
const widthOf = (text: string): number => Array.from(text).length

/** Breaks a sentence at spaces so that no line is longer than `width`, if words allow. */
export const wrapText = (text: string, width: number): readonly string[] => {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** JSON for scripts: what is unknown is `null`, so that every key is always there. */
export const toJson = (value: unknown, indent = 2): string =>
  JSON.stringify(
    value,
    (_key, inner: unknown) =>
      inner === undefined ? null : typeof inner === 'bigint' ? String(inner) : inner,
    indent,
  )
