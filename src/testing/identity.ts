import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TestClusterError } from '../errors.ts'

/** In the long header of a log segment's first page: flags at 2, the system identifier at 24. */
const LONG_HEADER = 0x0002
const FLAGS_AT = 2
const IDENTIFIER_AT = 24

/**
 * Gives a stopped data directory a system identifier of its own. All clusters copied from one
 * template would have the same, and code that compares identities could not tell them apart.
 *
 * The identifier stands at the head of `pg_control`, which a checksum protects, and at the head of
 * each segment of the log.
 */
export const renewIdentity = (data: string): void => {
  const path = join(data, 'global', 'pg_control')
  const control = readFileSync(path)
  const checksumAt = findChecksum(control)
  const old = control.readBigUInt64LE(0)
  const fresh = freshIdentifier()
  control.writeBigUInt64LE(fresh, 0)
  control.writeUInt32LE(crc32c(control.subarray(0, checksumAt)), checksumAt)
  writeFileSync(path, control)
  for (const name of readdirSync(join(data, 'pg_wal'))) {
    if (!/^[0-9A-F]{24}$/.test(name)) continue
    const segment = readFileSync(join(data, 'pg_wal', name))
    const isOurs =
      (segment.readUInt16LE(FLAGS_AT) & LONG_HEADER) !== 0 &&
      segment.readBigUInt64LE(IDENTIFIER_AT) === old
    if (!isOurs) continue
    segment.writeBigUInt64LE(fresh, IDENTIFIER_AT)
    writeFileSync(join(data, 'pg_wal', name), segment)
  }
}

/** As `initdb` does: the seconds since 1970 in the upper half, so that it looks like one; the rest by chance. */
const freshIdentifier = (): bigint =>
  (BigInt(Math.floor(Date.now() / 1_000)) << 32n) | BigInt(randomBytes(4).readUInt32LE(0))

/** The checksum follows the fields, whose number differs between versions: it is where it is right. */
const findChecksum = (control: Buffer): number => {
  for (let at = 200; at <= 508; at += 4) {
    if (control.readUInt32LE(at) === crc32c(control.subarray(0, at))) return at
  }
  throw new TestClusterError(
    'The template of the test cluster cannot be read. Remove the cache directory, or pass cache: false',
  )
}

/** CRC-32C, which PostgreSQL uses and Node.js does not offer. */
export const crc32c = (bytes: Uint8Array): number => {
  let crc = 0xffff_ffff
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!
  return (crc ^ 0xffff_ffff) >>> 0
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  return crc
})
