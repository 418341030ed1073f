import { createRequire } from 'node:module'
import type * as Dotenv from 'dotenv'
import type * as Yaml from 'yaml'

const require = createRequire(import.meta.url)

/** Loaded on first use, as importing the library must stay cheap; synchronously, as `connect()` is. */
export const yaml = (): typeof Yaml => require('yaml') as typeof Yaml

/** Loaded on first use. Only its parser is used: it changes no environment. */
export const dotenv = (): typeof Dotenv => require('dotenv') as typeof Dotenv
