import { type Bulk, ErrorReply } from '../redis/bulk.js';
import { ServerError } from '../redis/errors.js';
import { libraryName } from './rdb-meta.js';
import type { RestoreConflict } from './restore-progress.js';

/** Loads a function library into every master. Returns what is wrong with that, in a sentence without its end. Throws ServerError. */
export async function loadLibrary(bulk: Bulk, code: Uint8Array, conflict: RestoreConflict): Promise<string | undefined> {
  const name = libraryName(code);
  try {
    await bulk.everyMaster(async (wire, _, again) => {
      await wire.ask('FUNCTION', 'LOAD', ...(conflict === 'replace' ? ['REPLACE'] : []), code);
      const ours = (again || bulk.resumed) && /already exists/i.test(wire.error ?? '');
      if (wire.error !== undefined && !ours) throw new ErrorReply(wire.error);
    });
    return undefined;
  } catch (error) {
    const reason = error instanceof ErrorReply || error instanceof ServerError ? error.message : undefined;
    if (reason === undefined || (error instanceof ServerError && error.code !== 'REFUSED')) throw error;
    if (conflict === 'skip' && /already exists/i.test(reason)) return undefined;
    return `the function library ${JSON.stringify(name)} is not loaded: ${reason}`;
  }
}
