import { SSL_MODES } from './kinds.ts'
import type { SslChoice, SslMode } from './kinds.ts'
import { nearest } from './names.ts'
import { INVALID, expandScalar } from './reading.ts'
import type { Reading } from './reading.ts'
import { convertText, describeExpected } from './scalars.ts'
import { describeFound, isAbsent } from './tree.ts'
import type { Entry, MapTree, Place, Tree } from './tree.ts'

const CERTIFICATE_KEYS = ['ca', 'cert', 'key'] as const
const SSL_KEYS = ['mode', ...CERTIFICATE_KEYS] as const

/** Reads the key `ssl`. No message shows its value: it may hold a private key. */
export const readSsl = (tree: Tree, reading: Reading): SslChoice | typeof INVALID => {
  if (tree.kind === 'map') return readSslMap(tree, reading)
  const mode = readMode(tree, reading)
  return mode === INVALID ? INVALID : { mode }
}

const readMode = (tree: Tree, reading: Reading): SslMode | typeof INVALID => {
  const expanded = tree.kind === 'scalar' ? expandScalar(tree, reading) : undefined
  if (expanded === INVALID) return INVALID
  const raw = expanded?.value
  const value =
    expanded !== undefined && expanded.names.length > 0
      ? convertText(raw as string, { type: 'boolean' })
      : raw
  if (value === true) return 'verify-full'
  if (value === false) return 'disable'
  const mode = toSslMode(value)
  if (typeof mode === 'string') return mode
  const found = `found ${describeFound(tree, true)}, expected ${describeExpected({ type: 'ssl' })}`
  reading.issues.add(mode?.problem ?? found, tree.place)
  return INVALID
}

/** A mode by its name in libpq; `undefined` when it is no mode at all. */
export const toSslMode = (value: unknown): SslMode | { readonly problem: string } | undefined => {
  const mode = SSL_MODES.find((mode) => mode === value)
  if (mode !== undefined) return mode
  if (value === 'prefer' || value === 'allow') {
    return {
      problem: `'${value}' is refused: it falls back to an unencrypted connection whenever somebody in between wants it; use verify-full, verify-ca, require or disable`,
    }
  }
  if (value === 'no-verify') {
    return { problem: "'no-verify' is called 'require' here: encrypted, the server not checked" }
  }
  return undefined
}

const readSslMap = ({ entries, place }: MapTree, reading: Reading): SslChoice | typeof INVALID => {
  const known = new Set<string>(SSL_KEYS)
  const unknown = [...entries].filter(([name]) => !known.has(name))
  for (const [name, entry] of unknown) addUnknown(name, entry.place, reading)
  const modeEntry = entries.get('mode')
  const mode =
    modeEntry === undefined || isAbsent(modeEntry.value)
      ? 'verify-full'
      : readMode(modeEntry.value, reading)
  const certificates = CERTIFICATE_KEYS.map(
    (name) => [name, readCertificate(entries.get(name), reading)] as const,
  )
  const given = certificates.filter(([, value]) => value !== undefined)
  if (unknown.length > 0 || mode === INVALID || given.some(([, value]) => value === INVALID)) {
    return INVALID
  }
  if (given.length === 0 && modeEntry === undefined) {
    reading.issues.add('found an empty map, expected ca, cert, key or mode in it', place)
    return INVALID
  }
  return { mode, ...(Object.fromEntries(given) as Partial<Record<'ca' | 'cert' | 'key', string>>) }
}

const addUnknown = (name: string, place: Place, { issues }: Reading): void => {
  const near = nearest(name, SSL_KEYS)
  const advice = near === undefined ? `known are ${SSL_KEYS.join(', ')}` : `did you mean '${near}'?`
  issues.add(`unknown key; ${advice}`, place)
}

const readCertificate = (
  entry: Entry | undefined,
  reading: Reading,
): string | undefined | typeof INVALID => {
  if (entry === undefined || isAbsent(entry.value)) return undefined
  const expanded = entry.value.kind === 'scalar' ? expandScalar(entry.value, reading) : undefined
  if (expanded === INVALID) return INVALID
  const value = expanded?.value
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  const found = describeFound(entry.value, true)
  reading.issues.add(
    `found ${found}, expected the path of a PEM file or its text`,
    entry.value.place,
  )
  return INVALID
}
