import { type FilterOptions, type KeyPlace, prefixTest } from '../values/filters.js';
import type { KeyPrefixes } from '../values/key-prefixes.js';

/** The options that decide which databases keys go to, and with which names. */
export interface Meeting {
  readonly sources: readonly string[];
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  readonly keyPrefixMap?: KeyPrefixes | undefined;
  readonly filter?: Pick<FilterOptions, 'db' | 'prefix'> | undefined;
  /** All keys go to this database. */
  readonly intoDb?: number | undefined;
}

/** Whether keys of two sources or of two databases, or two keys of one, may end up as one key. */
export function mayMeet(options: Meeting): boolean {
  return sourcesMeet(options) || (options.keyPrefixMap?.meetings(options.filter?.prefix) ?? []).length > 0;
}

/** Which keys may be one with others, where that depends on their names. */
export function meetingKeys(options: Meeting): ((key: KeyPlace) => boolean) | undefined {
  if (options.keyPrefixMap === undefined || sourcesMeet(options)) return undefined;
  return prefixTest(options.keyPrefixMap.meetings(options.filter?.prefix));
}

function sourcesMeet({ dbMap, filter, intoDb, sources }: Meeting): boolean {
  const chosen = new Set(filter?.db);
  if (sources.length > 1) return true;
  if (intoDb !== undefined) return chosen.size !== 1;
  return chosen.size === 0 ? joinsDatabases(dbMap) : new Set([...chosen].map((db) => dbMap?.get(db) ?? db)).size < chosen.size;
}

/** Whether two databases may be merged into one. */
export function joinsDatabases(dbMap: ReadonlyMap<number, number> | undefined): boolean {
  if (dbMap === undefined) return false;
  const targets = [...dbMap.values()];
  return new Set(targets).size < targets.length || targets.some((target) => !dbMap.has(target));
}
