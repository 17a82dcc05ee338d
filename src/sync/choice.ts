import type { RestoreOptions } from '../restore/options.js';
import { compileKeyFilter, type KeyPlace } from '../values/filters.js';
import type { KeyPrefixes } from '../values/key-prefixes.js';
import type { KeyName } from './fences.js';
import type { LeftKeys } from './group/left-keys.js';

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

/** The wanted keys of the source that may have this name on the target. */
export function sourceNames(
  { sources, wants }: Pick<Choice, 'sources' | 'wants'>,
  names: KeyPrefixes | undefined,
  db: number,
  key: Uint8Array,
): KeyName[] {
  const keys: Uint8Array[] = [];
  const add = ({ keyBytes, keyEnd, keyStart }: KeyPlace): boolean => {
    keys.push(keyBytes.slice(keyStart, keyEnd));
    return false;
  };
  if (names === undefined) keys.push(key);
  else names.hadName({ keyBytes: key, keyStart: 0, keyEnd: key.length }, add);
  const all = sources(db).flatMap((from) => keys.map((name) => ({ db: from, key: name })));
  return all.filter((name) => wants?.(name.db, name.key, 0, name.key.length) !== false);
}

/** The same without keys that are left to other sources. */
export function withoutLeft<C extends Pick<Choice, 'wants'>>(choice: C, left: Pick<LeftKeys, 'has'>): C {
  const { wants } = choice;
  return {
    ...choice,
    wants: (db: number, bytes: Uint8Array, start: number, end: number) =>
      wants?.(db, bytes, start, end) !== false && !left.has(db, bytes, start, end),
  };
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
