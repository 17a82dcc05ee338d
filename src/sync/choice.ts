import type { RestoreOptions } from '../restore/options.js';
import { compileKeyFilter } from '../values/filters.js';

/** Which keys of a source are wanted, and where they go. */
export interface Choice {
  /** Undefined: all. */
  readonly wants: ((db: number, bytes: Uint8Array, start: number, end: number) => boolean) | undefined;
  /** The database on the target for one of the source. */
  readonly target: (db: number) => number;
  /** Databases of the source that go to one of the target. */
  readonly sources: (db: number) => readonly number[];
  /** Whether databases keep their numbers, and all are wanted. */
  readonly sameDatabases: boolean;
}

/** `sourceDb`: the only database that is read; `databases`: how many there are. */
export function choiceOf(
  { dbMap, filter = {}, url }: Pick<RestoreOptions, 'dbMap' | 'filter' | 'url'>,
  sourceDb: number | undefined,
  databases: number,
): Choice {
  const isWanted = compileKeyFilter(filter);
  const chosen = filter.db === undefined || filter.db.length === 0 ? undefined : new Set(filter.db);
  const target = (db: number): number => url.db ?? dbMap?.get(db) ?? db;
  const allSources = Array.from({ length: databases }, (_, db) => db);
  const wants = (db: number, keyBytes: Uint8Array, keyStart: number, keyEnd: number): boolean =>
    chosen?.has(db) !== false && (sourceDb ?? db) === db && isWanted?.({ keyBytes, keyStart, keyEnd }) !== false;
  const sameNumbers = url.db === undefined && dbMap === undefined;
  return {
    wants: isWanted === undefined && chosen === undefined && sourceDb === undefined ? undefined : wants,
    target,
    sources: (db) => (sameNumbers ? [db] : allSources.filter((of) => target(of) === db)),
    sameDatabases: sameNumbers && chosen === undefined && sourceDb === undefined,
  };
}
