import type { QueryConfig } from 'pg'
import { InvalidArgumentError } from '../errors.ts'

/** Run-time parameters by name, such as `{ 'app.tenant': '42' }`. */
export type Settings = Readonly<Record<string, string | number | boolean>>

/** Asks for the present values, as one object of the same form; a parameter that is not set is empty. */
export const settingsQuery = (settings: Settings): QueryConfig => ({
  text: `SELECT jsonb_object_agg(name, coalesce(current_setting(name, true), '')) AS before
    FROM unnest($1::text[]) AS name`,
  values: [Object.keys(settings)],
})

/**
 * One statement that sets all parameters for the present transaction, or `undefined` when there
 * are none. Names and values are bound, so nothing in them can be SQL.
 */
export const settingsStatement = (settings: Settings | undefined): QueryConfig | undefined => {
  const entries = Object.entries(settings ?? {})
  if (entries.length === 0) return undefined
  const values = entries.flatMap(([name, value]) => {
    if (/transaction_(?:read_only|isolation)|session_authorization/i.test(name)) {
      throw new InvalidArgumentError(`settings cannot set ${name}; use the scope's own options`)
    }
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      throw new InvalidArgumentError(`settings.${name} must be text, a number or a boolean`)
    }
    return [name, String(value)]
  })
  const calls = entries.map((_, index) => `set_config($${index * 2 + 1}, $${index * 2 + 2}, true)`)
  return { text: `SELECT ${calls.join(', ')}`, values }
}
