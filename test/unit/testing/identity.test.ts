import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestClusterError } from '../../../src/errors.ts'
import { crc32c, renewIdentity } from '../../../src/testing/identity.ts'

let data: string
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'segregato-identity-'))
  mkdirSync(join(data, 'global'))
  mkdirSync(join(data, 'pg_wal'))
})
afterEach(() => rmSync(data, { recursive: true, force: true }))

const OLD = 7_000_000_000_000_000_001n
const SEGMENT = '000000010000000000000001'

const control = (checksumAt: number): Buffer => {
  const bytes = Buffer.alloc(8_192)
  bytes.writeBigUInt64LE(OLD, 0)
  bytes.fill('x', 8, checksumAt)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, checksumAt)), checksumAt)
  return bytes
}

const segment = (flags: number, identifier: bigint): Buffer => {
  const bytes = Buffer.alloc(8_192, 'y')
  bytes.writeUInt16LE(flags, 2)
  bytes.writeBigUInt64LE(identifier, 24)
  return bytes
}

test('CRC-32C has the value that its standard gives as an example', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe306_9283)
  expect(crc32c(Buffer.alloc(0))).toBe(0)
})

test.each([288, 292, 296])(
  'control file and log get the same new identifier (checksum at %i)',
  (checksumAt) => {
    writeFileSync(join(data, 'global/pg_control'), control(checksumAt))
    writeFileSync(join(data, 'pg_wal', SEGMENT), segment(0x0002, OLD))
    renewIdentity(data)
    const renewed = readFileSync(join(data, 'global/pg_control'))
    const identifier = renewed.readBigUInt64LE(0)
    expect(identifier).not.toBe(OLD)
    expect(renewed.readUInt32LE(checksumAt)).toBe(crc32c(renewed.subarray(0, checksumAt)))
    expect(readFileSync(join(data, 'pg_wal', SEGMENT))).toEqual(segment(0x0002, identifier))
    // As large as those of initdb, so that it also fits where a signed number is expected.
    expect(identifier < 2n ** 63n).toBe(true)
  },
)

test('what has no long header, or belongs to somebody else, stays as it is', () => {
  writeFileSync(join(data, 'global/pg_control'), control(288))
  writeFileSync(join(data, 'pg_wal', SEGMENT), segment(0x0000, OLD))
  writeFileSync(join(data, 'pg_wal', '000000010000000000000002'), segment(0x0002, 5n))
  writeFileSync(join(data, 'pg_wal', 'notes.txt'), 'z')
  renewIdentity(data)
  expect(readFileSync(join(data, 'pg_wal', SEGMENT))).toEqual(segment(0x0000, OLD))
  expect(readFileSync(join(data, 'pg_wal', '000000010000000000000002'))).toEqual(
    segment(0x0002, 5n),
  )
})

test('a damaged control file is refused and stays as it is', () => {
  const damaged = control(288)
  damaged.write('!', 100)
  writeFileSync(join(data, 'global/pg_control'), damaged)
  expect(() => renewIdentity(data)).toThrow(TestClusterError)
  expect(readFileSync(join(data, 'global/pg_control'))).toEqual(damaged)
})
