import { isIPv4 } from 'node:net'
import { resolve } from 'node:path'
import { INPUT_LIMITS } from './defaults.ts'
import type { SslChoice, SslMode } from './kinds.ts'
import { decodeText, readRegularFile } from './read-file.ts'
import { INVALID } from './reading.ts'
import type { Reading } from './reading.ts'
import { Secret } from './secret.ts'
import type { NodeSection } from './node-section.ts'
import { valid } from './section.ts'
import { toSslMode } from './ssl-choice.ts'
import type { Place } from './tree.ts'
import type { SslConfig } from './types.ts'

/** Decides how a node's connections are secured. Mistakes are noted; the result then means nothing. */
export const resolveSsl = (
  section: NodeSection,
  host: string | undefined,
  place: Place,
  reading: Reading,
): false | SslConfig => {
  const choice = valid(section.ssl)
  const named = namedMode(section, reading)
  const given = [section.ssl, section.sslmode, section.host]
  if (named === INVALID || given.some((one) => one?.value === INVALID)) return false
  if (choice !== undefined && named !== undefined && choice.mode !== named) {
    reading.issues.add(
      `ssl says ${choice.mode} and sslmode says ${named}; leave one of them out`,
      section.ssl?.place,
    )
    return false
  }
  const said =
    choice?.mode ?? named ?? (valid(section.sslrootcert) === undefined ? undefined : 'verify-full')
  const mode = said ?? defaultMode(host, place, reading)
  if (mode === undefined || mode === 'disable') return false
  if (host?.startsWith('/')) {
    if (said === undefined) return false
    reading.issues.add(
      'TLS is not possible over a Unix socket; leave ssl out',
      section.ssl?.place ?? place,
    )
    return false
  }
  return withCertificates(mode, choice, section, place, reading)
}

const namedMode = (
  section: NodeSection,
  { issues }: Reading,
): SslMode | undefined | typeof INVALID => {
  const text = valid(section.sslmode)
  if (text === undefined) return undefined
  const mode = toSslMode(text)
  if (typeof mode === 'string') return mode
  issues.add(
    mode?.problem ??
      'found an unknown sslmode, expected disable, require, verify-ca or verify-full',
    section.sslmode?.place,
  )
  return INVALID
}

/** What holds when the configuration is silent. */
const defaultMode = (
  host: string | undefined,
  place: Place,
  { variables, issues }: Reading,
): SslMode | undefined => {
  if (host === undefined || host.startsWith('/')) return 'disable'
  const text = variables['PGSSLMODE']
  if (text) {
    const mode = toSslMode(text)
    if (typeof mode === 'string') return mode
    issues.add(
      `PGSSLMODE: ${mode?.problem ?? 'expected disable, require, verify-ca or verify-full'}`,
      place,
    )
    return undefined
  }
  if (isLoopback(host)) return 'disable'
  issues.add(
    'expected a choice for ssl, as the host is neither loopback nor a socket: true (encrypted, the server verified), verify-ca, require (encrypted, the server not verified) or false (not encrypted)',
    place,
  )
  return undefined
}

/** Whether an address never leaves the machine. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))

const withCertificates = (
  mode: Exclude<SslMode, 'disable'>,
  choice: SslChoice | undefined,
  section: NodeSection,
  place: Place,
  reading: Reading,
): SslConfig => {
  const { variables } = reading
  const at = section.ssl?.place ?? section.sslmode?.place ?? place
  const caSource = choice?.ca ?? valid(section.sslrootcert) ?? variables['PGSSLROOTCERT']
  // libpq's word for the certificates that come with the system.
  const ca = caSource === 'system' ? undefined : readPem(caSource, 'ca', at, reading)
  const cert = readPem(
    choice?.cert ?? valid(section.sslcert) ?? variables['PGSSLCERT'],
    'cert',
    at,
    reading,
  )
  const key = readPem(
    choice?.key ?? valid(section.sslkey) ?? variables['PGSSLKEY'],
    'key',
    at,
    reading,
  )
  if ((cert === undefined) !== (key === undefined)) {
    reading.issues.add('cert and key belong together: found only one of them', at)
  }
  return Object.freeze({
    // As in libpq, `require` with a certificate authority checks the chain.
    rejectUnauthorized: mode !== 'require' || ca !== undefined,
    verifyHost: mode === 'verify-full',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: new Secret(key) }),
  })
}

const readPem = (
  source: string | undefined,
  what: 'ca' | 'cert' | 'key',
  place: Place,
  { directory, issues }: Reading,
): string | undefined => {
  if (!source) return undefined
  const text = source.includes('-----BEGIN') ? source : readPemFile(source)
  if (typeof text === 'object') issues.add(`the file of '${what}' ${text.problem}`, place)
  else if (!text.includes('-----BEGIN')) issues.add(`'${what}' is not PEM text`, place)
  else if (what === 'key' && text.includes('ENCRYPTED')) {
    issues.add("'key' is encrypted with a passphrase, expected a key without one", place)
  }
  return typeof text === 'object' ? '' : text

  function readPemFile(path: string): string | { readonly problem: string } {
    const content = readRegularFile(resolve(directory, path), INPUT_LIMITS.certificateBytes)
    if ('problem' in content) return content
    return decodeText(content.bytes) ?? { problem: 'is not PEM text' }
  }
}
