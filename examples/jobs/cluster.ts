import { connect } from 'segregato'
import type { Cluster } from 'segregato'

/** Opens the cluster of `database.yml`. Who sends a job and who runs it need the same `TOKEN_KEY`. */
export const openCluster = (): Cluster => {
  const secret = process.env['TOKEN_KEY']
  if (!secret) throw new Error('Set TOKEN_KEY to the same secret for all processes')
  return connect({ tokenKeys: [{ id: 'k1', secret }] })
}
