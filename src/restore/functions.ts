import type { Delivery } from './delivery.js';
import { ErrorReply, ServerError } from '../redis/errors.js';
import type { Master, Servers } from '../redis/servers.js';
import type { LibraryOn, LibraryOutcome } from '../pipeline/libraries.js';
import type { RestoreConflict } from './outcomes.js';

/** A function library of a source. */
export interface SourceLibrary {
  /** In the text form: see formatText. */
  readonly name: string;
  readonly code: Uint8Array;
}

/** Of FUNCTION LOAD (redis functions.c, libraryJoin). */
const ALREADY_THERE = /^ERR Library .* already exists/i;

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/**
 * Loads a function library into every master and tells `on` the outcomes; a library with the same code is left alone. Returns what
 * went wrong as a clause without a full stop. Throws ServerError if the restore cannot go on.
 */
export async function loadLibrary(
  delivery: Delivery,
  library: SourceLibrary,
  conflict: RestoreConflict,
  on: (on: LibraryOn) => void,
): Promise<string | undefined> {
  const { masters } = delivery.servers;
  const refusals = new Map<string, string[]>();
  for (const master of masters) {
    try {
      on({ server: master.name, outcome: await loadInto(delivery, master, library, conflict) });
    } catch (error) {
      const reason =
        error instanceof ErrorReply ? error.message : error instanceof ServerError && error.code === 'REFUSED' ? error.reason : undefined;
      if (reason === undefined) throw error;
      on({ server: master.name, outcome: 'refused' });
      refusals.set(reason, [...(refusals.get(reason) ?? []), master.name]);
    }
  }
  if (refusals.size === 0) return undefined;
  const reasons = [...refusals].map(([reason, servers]) => `${masters.length === 1 ? '' : ` on ${servers.join(', ')}`}: ${reason}`);
  return `the function library ${JSON.stringify(library.name)} is not loaded${reasons.join('; not')}`;
}

function loadInto(delivery: Delivery, master: Master, { code, name }: SourceLibrary, conflict: RestoreConflict): Promise<LibraryOutcome> {
  let tried: LibraryOutcome = 'loaded';
  return delivery.onMaster(master, async (exclusive, _, again) => {
    const error = await exclusive.ask('FUNCTION', 'LOAD', code);
    if (typeof error === 'number') return 'loaded';
    if (!ALREADY_THERE.test(error)) throw new ErrorReply(error);
    const theirs = await libraryCode(delivery.servers, master, name);
    if (theirs !== undefined && theirs !== null && equal(theirs, code)) return again ? tried : 'same';
    if (conflict === 'skip') return 'kept';
    if (conflict === 'error') throw new ErrorReply(error);
    tried = 'replaced';
    const refusal = await exclusive.ask('FUNCTION', 'LOAD', 'REPLACE', code);
    if (typeof refusal === 'string') throw new ErrorReply(refusal);
    return 'replaced';
  });
}

/** The source code of a library on a master; null if there is none of that name, undefined if the server does not tell. */
async function libraryCode(servers: Servers, master: Master, name: string): Promise<Uint8Array | null | undefined> {
  try {
    const client = await servers.client(master);
    const libraries = (await client.callBuffer('FUNCTION', 'LIST', 'LIBRARYNAME', name, 'WITHCODE')) as unknown[][];
    const field = (library: readonly unknown[], wanted: string): unknown =>
      library[library.findIndex((other) => String(other) === wanted) + 1];
    const found = libraries.find((library) => String(field(library, 'library_name')) === name); // LIBRARYNAME is a pattern
    return found === undefined ? null : (field(found, 'library_code') as Buffer);
  } catch {
    return undefined; // FUNCTION LIST is not allowed everywhere
  }
}

/** Predicts the outcomes of libraries, from what the masters have and the libraries before. */
export class LibraryForecast {
  private readonly before = new Map<string, Uint8Array>();

  constructor(
    private readonly servers: Servers,
    private readonly conflict: RestoreConflict,
  ) {}

  async of({ code, name }: SourceLibrary): Promise<LibraryOn[]> {
    const row: LibraryOn[] = [];
    for (const master of this.servers.masters) {
      const at = `${master.name} ${name}`;
      const outcome = this.outcome(code, this.before.get(at) ?? (await libraryCode(this.servers, master, name)));
      if (outcome === 'loaded' || outcome === 'replaced') this.before.set(at, code);
      row.push({ server: master.name, outcome });
    }
    return row;
  }

  private outcome(code: Uint8Array, theirs: Uint8Array | null | undefined): LibraryOutcome {
    if (theirs === undefined) return 'unknown';
    if (theirs === null) return 'loaded';
    if (equal(theirs, code)) return 'same';
    return this.conflict === 'replace' ? 'replaced' : this.conflict === 'skip' ? 'kept' : 'refused';
  }
}
