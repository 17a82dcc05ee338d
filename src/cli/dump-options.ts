import { CONFLICTS, type Conflict, DUMP_FORMATS, type DumpFormat, joinsDatabases } from '../commands/dump.js';
import type { Io } from './io.js';
import { word } from './printable.js';
import { type CheckedSources, checkSources, type SourceFlags } from './source-options.js';
import { UsageError } from './usage.js';

/** The options of dump as commander gives them. */
export interface DumpFlags extends SourceFlags {
  format?: string;
  dbMap?: string[];
  stripTtl?: boolean;
  onConflict?: string;
}

export interface CheckedDump extends CheckedSources {
  readonly format: DumpFormat;
  readonly dbMap: ReadonlyMap<number, number> | undefined;
  readonly stripTtl: boolean;
  readonly onConflict: Conflict;
}

/** Throws UsageError. */
export async function checkDump(sources: readonly string[], flags: DumpFlags, io: Io): Promise<CheckedDump> {
  if (flags.format === undefined) throw new UsageError(`--format is missing: expected one of ${DUMP_FORMATS.join(', ')}`);
  const format = oneOf('--format', flags.format, DUMP_FORMATS);
  const dbMap = checkDbMap(flags.dbMap);
  const onConflict = oneOf('--on-conflict', flags.onConflict ?? 'error', CONFLICTS);
  if (onConflict === 'last' && joinsDatabases(dbMap)) {
    throw new UsageError('--on-conflict last decides between files, not between databases that --db-map joins: expected first or error');
  }
  return { ...(await checkSources('dump', sources, flags, io)), format, dbMap, stripTtl: flags.stripTtl === true, onConflict };
}

function oneOf<T extends string>(option: string, given: string, allowed: readonly T[]): T {
  const known = allowed.find((name) => name === given);
  if (known === undefined) throw new UsageError(`${option} ${word(given)}: expected one of ${allowed.join(', ')}`);
  return known;
}

/** Servers number databases with a C int. */
const MAX_DB = 2 ** 31 - 1;

function checkDbMap(words: readonly string[] | undefined): ReadonlyMap<number, number> | undefined {
  if (words === undefined) return undefined;
  const map = new Map<number, number>();
  for (const pair of words.flatMap((text) => text.split(','))) {
    const match = /^(\d{1,10}):(\d{1,10})$/.exec(pair);
    const [from, to] = [Number(match?.[1]), Number(match?.[2])];
    if (!(from <= MAX_DB && to <= MAX_DB)) {
      throw new UsageError(`--db-map ${word(pair)}: expected two database numbers, like 3:0`);
    }
    if (map.has(from)) throw new UsageError(`--db-map ${word(pair)}: database ${from} has another number already`);
    map.set(from, to);
  }
  return map;
}
