import { mayPass, ServerError } from '../../redis/errors.js';
import { abortedBy, refusalOf } from '../../redis/refusals.js';

/** The target cannot go on with what was sent: everything that is not certain has to be looked at again. */
export class Detached extends Error {
  override readonly name = 'Detached';

  constructor(
    /** `host:port`. */
    readonly server: string,
    readonly reason: string,
    /** An error that does not pass by itself. */
    readonly final = false,
  ) {
    super(`${server}: ${reason}`);
  }
}

/** Errors that do not pass by themselves end the run. */
export function detachedBy(server: string, error: string): Detached {
  const reason = abortedBy(error);
  return new Detached(server, isFinal(reason) ? reason : error, isFinal(reason));
}

const isFinal = (error: string): boolean => /^(?:NOPERM|NOAUTH|WRONGPASS|DENIED)/.test(error);

/** Whether a server may take what it has refused some time later: it is loading, out of memory, or about to be another's replica. */
export const passes = (error: string): boolean => !isFinal(error) && refusalOf(error) !== 'refused' && !/^-?ERR/.test(error);

/** Whether the target may take the same later. */
export const targetMayPass = (error: unknown): boolean =>
  mayPass(error) || (error instanceof ServerError && error.code === 'REFUSED' && passes(error.reason));
