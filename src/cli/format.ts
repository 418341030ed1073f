const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** Bytes in three digits: `0 B`, `16 kB`, `1.2 GB`. */
export const formatBytes = (bytes: number): string => {
  let [value, unit] = [bytes, 0]
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${digits(value, unit === 0)} ${BYTE_UNITS[unit]}`
}

/** Milliseconds in the unit that a person would use: `3 ms`, `1.2 s`, `5 min`, `2.5 h`. */
export const formatMs = (ms: number): string => {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${digits(ms / 1_000, false)} s`
  if (ms < 3_597_000) return `${digits(ms / 60_000, false)} min`
  return `${digits(ms / 3_600_000, false)} h`
}

/** One decimal below ten unless it is zero. */
const digits = (value: number, whole: boolean): string =>
  whole || value >= 9.95 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, '')

/** `1 problem`, `2 problems`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`

/** `host:port`, or the socket's file. */
export const formatAddress = ({ host, port }: { host: string; port: number }): string =>
  host.startsWith('/')
    ? `${host}/.s.PGSQL.${port}`
    : host.includes(':')
      ? `[${host}]:${port}`
      : `${host}:${port}`

/** A failure in one line: what the system or the server calls it, and its message where that says more. */
export const formatFailure = (error: unknown): string => {
  const { code, message } = error as { code?: unknown; message?: unknown }
  const name = typeof code === 'string' ? code : undefined
  const text = typeof message === 'string' && message !== '' ? message : undefined
  // The system's messages repeat the code and the address.
  if (name !== undefined && (text === undefined || text.includes(name))) return name
  return [name, text?.replace(/\p{Cc}+/gu, ' ')].filter(Boolean).join(': ') || 'unknown failure'
}
