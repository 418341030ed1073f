import { relative } from 'node:path'
import type { ClusterConfig } from '../config/types.ts'
import type { Colors } from './output.ts'

/** The line above a table: which environment of which file this is about. */
export const describeSource = ({ environment, file }: ClusterConfig, colors: Colors): string =>
  `${colors.bold(environment ?? '')} ${colors.dim(`of ${shortPath(file ?? '')}`)}`

/** A path as a person here would write it. */
export const shortPath = (path: string): string => {
  const near = relative(process.cwd(), path)
  return near === '' || near.startsWith('..') ? path : near
}
