import { createRequire } from 'node:module'
import type * as Dotenv from 'dotenv'
import type * as Yaml from 'yaml'

/**
 * Packages that are loaded on first use, as importing the library must stay cheap; synchronously, as
 * `connect()` is. The published package has a file of CommonJS in place of this one, see
 * `rolldown.config.ts`.
 */
const require = createRequire(import.meta.url)

export const yaml = (): typeof Yaml => require('yaml') as typeof Yaml

/** Only its parser is used: it changes no environment. */
export const dotenv = (): typeof Dotenv => require('dotenv') as typeof Dotenv

/** Knex's PostgreSQL dialect alone: Knex itself would load that of every database. */
export const knexPostgres = (): unknown => require('knex/lib/dialects/postgres')

/** A file of this package, from which the packages it depends on are found. */
export const here = (): string => import.meta.url
