import type { Bulk } from '../redis/bulk.js';
import { ErrorReply, ServerError } from '../redis/errors.js';
import { libraryName } from './rdb-meta.js';
import type { RestoreConflict } from './restore-progress.js';

/**
 * Loads a function library into every master; one that has the same code already is left as it is. Returns what is wrong with
 * that, in a sentence without its end. Throws ServerError.
 */
export async function loadLibrary(bulk: Bulk, code: Uint8Array, conflict: RestoreConflict): Promise<string | undefined> {
  const name = libraryName(code);
  try {
    for (const master of bulk.servers.masters) await bulk.onMaster(master, async (wire) => {
      const error = await wire.ask('FUNCTION', 'LOAD', ...(conflict === 'replace' ? ['REPLACE'] : []), code);
      if (typeof error === 'number') return;
      const there = /^ERR Library .* already exists/i.test(error);
      if (there && (conflict === 'skip' || Buffer.compare(await bulk.libraryCode(master, name), code) === 0)) return;
      throw new ErrorReply(error);
    });
    return undefined;
  } catch (error) {
    const reason = error instanceof ErrorReply || error instanceof ServerError ? error.message : undefined;
    if (reason === undefined || (error instanceof ServerError && error.code !== 'REFUSED')) throw error;
    return `the function library ${JSON.stringify(name)} is not loaded: ${reason}`;
  }
}
