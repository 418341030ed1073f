import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { TestClusterError } from '../errors.ts'
import { copyData, writeOwned } from './files.ts'
import { renewIdentity } from './identity.ts'
import { type Installation, moveInto } from './installation.ts'

/** The superuser of the test cluster, which is also the user of the configuration. */
export const USER = 'segregato'

/** Part of the template's key: another one for other contents. */
const RECIPE = 1

/**
 * Makes a new data directory, from the template in the cache where there is one, and returns the
 * superuser's present password, which the caller changes as soon as the server runs.
 */
export const makeData = async (
  data: string,
  installation: Installation,
  cache: string | undefined,
  onProgress: (message: string) => void,
): Promise<string> => {
  const template = cache === undefined ? undefined : join(cache, `template-${keyOf(installation)}`)
  if (template !== undefined && existsSync(template)) {
    onProgress('Copying the template of the data directory')
    copyData(join(template, 'data'), data, installation.account)
    renewIdentity(data)
    return readFileSync(join(template, 'password'), 'utf8')
  }
  onProgress('Creating a data directory (initdb)')
  const password = randomBytes(18).toString('base64url')
  await initialise(data, password, installation)
  if (template !== undefined) keep(data, template, password)
  return password
}

const keyOf = ({ bin, version }: Installation): string =>
  createHash('sha256').update(`${RECIPE} ${bin} ${version}`).digest('hex').slice(0, 12)

const initialise = async (
  data: string,
  password: string,
  { bin, major, account, env }: Installation,
): Promise<void> => {
  const passwordFile = `${data}.password`
  writeOwned(passwordFile, password, account)
  // The built-in provider sorts and folds Unicode alike on every system; older versions have only C everywhere.
  const locale = major >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : []
  const options = [
    '--locale=C',
    '--encoding=UTF8',
    '--wal-segsize=1',
    '--auth=scram-sha-256',
    '--no-sync',
    '--no-instructions',
  ]
  try {
    await promisify(execFile)(
      join(bin, 'initdb'),
      ['-D', data, '-U', USER, `--pwfile=${passwordFile}`, ...options, ...locale],
      { ...account, env, cwd: '/' },
    )
  } catch (cause) {
    const said =
      cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause)
    const remedy = said.includes('could not look up effective user ID')
      ? '. Add a line for this user to /etc/passwd'
      : ''
    throw new TestClusterError(`initdb failed: ${said}${remedy}`, { cause })
  } finally {
    rmSync(passwordFile, { force: true })
  }
  appendFileSync(join(data, 'postgresql.conf'), "\ninclude 'segregato.conf'\n")
  writeFileSync(join(data, 'pg_hba.conf'), HOST_RULES)
}

/** Loopback only, with a password, the replicas' connections included. */
const HOST_RULES = `host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
`

/** Keeps a copy for the next time. A cache that cannot be written is only slower. */
const keep = (data: string, template: string, password: string): void => {
  try {
    const fresh = mkdtempSync(`${template}-`)
    copyData(data, join(fresh, 'data'), undefined)
    writeFileSync(join(fresh, 'password'), password, { mode: 0o600 })
    moveInto(fresh, template)
  } catch {
    // Full or read-only: the next start runs initdb again.
  }
}
