import type { WrongServer } from '../nodes/node.ts'
import type { ServerIdentity } from '../nodes/probe.ts'

/** What two servers said of themselves. */
type Known = Pick<ServerIdentity, 'systemIdentifier' | 'inRecovery'>

/**
 * Why a server must not serve as replica of this primary: it belongs to another cluster, or it would
 * accept writes. What is not known is no reason.
 *
 * @param allowSameServer - the replica may be the primary itself
 */
export const wrongServer = (
  replica: Known,
  primary: Pick<Known, 'systemIdentifier'> | undefined,
  allowSameServer: boolean,
): WrongServer | undefined => {
  const [own, others] = [replica.systemIdentifier, primary?.systemIdentifier]
  if (own !== undefined && others !== undefined && own !== others) return 'other-system'
  return replica.inRecovery || allowSameServer ? undefined : 'not-in-recovery'
}
