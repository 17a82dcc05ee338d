import { ConnectionLost, ServerError } from '../redis/errors.js';
import type { Session } from '../sync/session.js';
import { checksBefore } from './preflight.js';
import type { SyncOptions } from './sync-summary.js';

/**
 * The rules before a full copy. What cannot be asked now is no reason not to copy: the copy tries for longer. `again`: the target has keys
 * of an earlier run. Throws the reason of the signal.
 */
export async function takeChecks(options: SyncOptions, session: Session, again: boolean): Promise<void> {
  const { facts, servers, signal, source } = session;
  const { checks, onNote } = options;
  if (checks === undefined) return;
  try {
    checks.take(await checksBefore(options, { source, servers, facts, signal, again, others: options.group?.needed ?? 0 }, checks.words));
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ServerError || error instanceof ConnectionLost)) throw error;
    onNote?.(`the checks before the copy were not made: ${error.message}`);
  }
}
