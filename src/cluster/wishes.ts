import { CONSISTENCIES } from '../config/types.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { SessionWishes } from '../routing/session.ts'

/** @throws InvalidArgumentError for a level or a lag that does not exist */
export const checkWishes = ({ maxLagMs, consistency }: SessionWishes): void => {
  if (maxLagMs !== undefined && !(typeof maxLagMs === 'number' && maxLagMs >= 0)) {
    throw new InvalidArgumentError(`maxLagMs must be 0 or more milliseconds, not ${maxLagMs}`)
  }
  if (consistency !== undefined && !CONSISTENCIES.includes(consistency)) {
    throw new InvalidArgumentError(
      `consistency must be one of ${CONSISTENCIES.join(', ')}, not '${consistency as string}'`,
    )
  }
}
