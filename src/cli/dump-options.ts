import { CONFLICTS, type Conflict, DUMP_FORMATS, type DumpFormat, joinsDatabases, outputPaths, parseTarget, type Target } from '../commands/dump.js';
import { MAX_DB, parseSize } from '../commands/terms.js';
import { type Io, isTerminal } from './io.js';
import { printable, word } from './printable.js';
import { type CheckedSources, checkOutput, checkSources, type SourceFlags } from './source-options.js';
import { checked, UsageError } from './usage.js';

/** The options of dump as commander gives them. */
export interface DumpFlags extends SourceFlags {
  format?: string;
  dbMap?: string[];
  splitSlots?: string;
  maxPayload?: string;
  stripTtl?: boolean;
  functions?: boolean;
  targetVersion?: string;
  allowLoss?: boolean;
  onConflict?: string;
}

export interface CheckedDump extends CheckedSources {
  readonly format: DumpFormat;
  readonly dbMap: ReadonlyMap<number, number> | undefined;
  readonly splitSlots: number;
  readonly maxPayload: number | undefined;
  readonly stripTtl: boolean;
  readonly functions: boolean | undefined;
  readonly target: Target | undefined;
  readonly allowLoss: boolean;
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
  if (format === 'payload' && flags.functions === true) throw new UsageError('--functions is for --format rdb and resp: payloads are those of keys');
  const target = checkTarget(flags);
  const splitSlots = checkSplit(flags, format);
  const maxPayload = checkMaxPayload(flags, format);
  const common = await checkSources('dump', sources, flags, io);
  if (format !== 'payload' && common.output === undefined && isTerminal(io.stdout)) {
    throw new UsageError(`--format ${format} is binary and standard output is a terminal: name a file with --output, or pipe it on`);
  }
  if (splitSlots > 1) {
    if (common.output === undefined) throw new UsageError('--split-slots writes files: name them with --output, like --output shard.rdb');
    for (const path of outputPaths({ output: common.output, splitSlots })) await checkOutput(sources, path as string, io.stdin);
  }
  return { ...common, format, dbMap, splitSlots, maxPayload, stripTtl: flags.stripTtl === true, functions: flags.functions, target, allowLoss: flags.allowLoss === true, onConflict };
}

function checkTarget({ allowLoss, targetVersion }: DumpFlags): Target | undefined {
  if (targetVersion === undefined && allowLoss === true) throw new UsageError('--allow-loss is for --target-version: without it nothing is lost');
  return targetOf(targetVersion);
}

/** The server that `--target-version` names. */
export function targetOf(targetVersion: string | undefined): Target | undefined {
  if (targetVersion === undefined) return undefined;
  try {
    return parseTarget(targetVersion);
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(`--target-version: ${printable(error.message)}`) : error;
  }
}

/** Every file has buffers and a handle of its own. */
const MOST_FILES = 128;

function checkSplit({ splitSlots }: DumpFlags, format: DumpFormat): number {
  if (splitSlots === undefined) return 1;
  const number = /^\d{1,3}$/.test(splitSlots) ? Number(splitSlots) : 0;
  if (number < 2 || number > MOST_FILES) throw new UsageError(`--split-slots ${word(splitSlots)}: expected a number from 2 to ${MOST_FILES}`);
  if (format !== 'rdb') throw new UsageError(`--split-slots is for --format rdb, not for ${format}`);
  return number;
}

/** The value of an option that is one of a few words. */
export function oneOf<T extends string>(option: string, given: string, allowed: readonly T[]): T {
  const known = allowed.find((name) => name === given);
  if (known === undefined) throw new UsageError(`${option} ${word(given)}: expected one of ${allowed.join(', ')}`);
  return known;
}

function checkMaxPayload({ maxPayload }: DumpFlags, format: DumpFormat): number | undefined {
  if (maxPayload === undefined) return undefined;
  if (format !== 'resp') throw new UsageError(`--max-payload is for --format resp, not for ${format}`);
  return checked(() => parseSize('--max-payload', maxPayload));
}

export function checkDbMap(words: readonly string[] | undefined): ReadonlyMap<number, number> | undefined {
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
