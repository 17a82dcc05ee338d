import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { type Command, Option } from 'commander';
import { type FilterOptions, type FilterWords, parseFilterArgs, parseLimit } from '../commands/terms.js';
import { type Io, isTerminal } from './io.js';
import { word } from './printable.js';
import { checked, UsageError } from './usage.js';

const PROGRESS = ['auto', 'plain', 'none'] as const;
export type ProgressKind = (typeof PROGRESS)[number];

/** An option with one value that may be given again: values gather. */
export function list(flags: string, description: string): Option {
  return new Option(flags, description).argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
}

/** The options of every command that reads RDB files, as commander gives them. */
export interface SourceFlags extends FilterWords {
  output?: string;
  limit?: string;
  checksum?: boolean;
  strict?: boolean;
  keepGoing?: boolean;
  ignoreAofTail?: boolean;
  progress?: string;
  quiet?: boolean;
  json?: boolean;
}

export interface CheckedSources {
  readonly sources: readonly string[];
  /** Undefined for standard output. */
  readonly output: string | undefined;
  readonly filter: FilterOptions;
  readonly limit: number | undefined;
  readonly progress: ProgressKind;
}

/** `rdbkit <name> <source...>`; the options of its output are for the caller to add first. */
export function sourceCommand(program: Command, name: string, summary: string, description: string, { what = 'RDB files', words = '<source...>' } = {}): Command {
  return program
    .command(name)
    .summary(summary)
    .description(description)
    .argument('<source...>', `${what}, or - for standard input`)
    .usage(`${words} [options]`);
}

/** Which keys. */
export function addFilters(command: Command): void {
  command
    .optionsGroup('Which keys:')
    .addOption(list('--db <n>', 'in this database: 0, a list 0,3 or a range 0-3'))
    .addOption(list('--prefix <text>', 'key begins with this'))
    .addOption(list('--not-prefix <text>', 'key does not begin with this'))
    .addOption(list('--match <glob>', 'whole key fits this pattern, as in SCAN and KEYS: * ? [a-z] \\'))
    .addOption(list('--not-match <glob>', 'key does not fit this pattern'))
    .addOption(list('--regex <re>', 'this JavaScript regular expression is found in the key'))
    .addOption(list('--not-regex <re>', 'it is not found in the key'))
    .addOption(list('--type <name>', 'of this type, or list of types: string, list, set, zset, hash, stream, module, array'))
    .addOption(list('--not-type <name>', 'of any other type'))
    .addOption(list('--slot <n>', 'in this cluster slot: 5, a range 0-5460, or a list of them'))
    .option('--ttl <state>', 'none: without expiry, any: with one, expired: it is over, live: it is not over or there is none')
    .option('--min-size <bytes>', 'value takes at least this much in the file: 100, 10kb, 1.5mb (of 1024)')
    .option('--max-size <bytes>', 'value takes at most this much in the file')
    .option('--limit <n>', 'stop after this many keys');
}

/** What to do about damage in RDB files. */
export function addDamage(command: Command): void {
  command
    .optionsGroup('Damaged and unusual files:')
    .option('--no-checksum', 'do not verify the checksum of the file')
    .option('--strict', 'refuse what is only warned of: unknown versions, data behind the end')
    .option('--keep-going', 'go on with the next source after a damaged one')
    .option('--ignore-aof-tail', 'of an AOF, read the RDB at its beginning alone: the newer commands after it are left out');
}

export function addMessages(command: Command, after: string): void {
  command
    .optionsGroup('Messages (on standard error):')
    .option('--progress <how>', 'auto: a bar on a terminal, plain: a line every few seconds, none')
    .option('--quiet', 'nothing but errors')
    .option('--json', 'the closing summary, with errors and warnings, as one JSON object')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', after);
}

/** Everything that can be known to be wrong before anything is opened. Throws UsageError. */
export async function checkSources(command: string, sources: readonly string[], flags: SourceFlags, io: Io): Promise<CheckedSources> {
  const filter = checked(() => parseFilterArgs(flags));
  const { limit } = flags;
  const keys = limit === undefined ? undefined : checked(() => parseLimit('--limit', limit));
  const progress = checkProgress(flags);
  checkPaths(command, sources, io);
  if (flags.output === '') throw new UsageError('--output "": expected the path of a file');
  if (URL.test(flags.output ?? '')) throw new UsageError('--output is a URL: expected the path of a file');
  const output = flags.output === '-' ? undefined : flags.output;
  if (output !== undefined) await checkOutput(sources, output, io.stdin);
  return { sources, output, filter, limit: keys, progress };
}

function checkProgress({ progress = 'auto', quiet }: SourceFlags): ProgressKind {
  const known = PROGRESS.find((kind) => kind === progress);
  if (known === undefined) throw new UsageError(`--progress ${progress}: expected one of ${PROGRESS.join(', ')}`);
  return quiet === true ? 'none' : known;
}

/** It may hold a password, so it is not shown. */
const URL = /^[a-z][a-z\d+.-]+:\/\//i;

function checkPaths(command: string, sources: readonly string[], io: Io): void {
  for (const source of sources) {
    if (source === '') throw new UsageError('a source is an empty word: expected the path of an RDB file');
    if (URL.test(source)) {
      throw new UsageError('a source is a URL: expected the path of an RDB file (redis-cli --rdb dump.rdb takes one from a server)');
    }
  }
  const stdins = sources.filter((source) => source === '-').length;
  if (stdins > 1) throw new UsageError('standard input (-) is given twice, but can be read only once');
  if (stdins > 0 && isTerminal(io.stdin)) {
    throw new UsageError(`standard input (-) is a terminal: pipe an RDB into it, like rdbkit ${command} - < dump.rdb`);
  }
}

/** Neither the output, nor what an error would leave of it, may be a source: it would be gone. */
export async function checkOutput(sources: readonly string[], output: string, stdin: Readable): Promise<void> {
  const identity = async (path: string): Promise<string | undefined> => {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    return found?.isFile() === true ? `${found.dev}:${found.ino}` : undefined;
  };
  const standardInput = 'fd' in stdin && typeof stdin.fd === 'number' ? `/dev/fd/${stdin.fd}` : '';
  const written = [await identity(output), await identity(`${output}.partial`)];
  for (const source of sources) {
    const read = await identity(source === '-' ? standardInput : source);
    if (read !== undefined && written.includes(read)) {
      throw new UsageError(`--output ${word(output)} would overwrite the source ${source === '-' ? 'that standard input comes from' : word(source)}`);
    }
  }
}

const LISTS = /^--(?:not-)?(?:db|prefix|match|regex|type|slot)(?:=.*)?$/s;

/**
 * The option whose second value somebody may have meant a source to be: `--prefix a b` reads b as a source, since
 * `--prefix a dump.rdb` must.
 */
export function meantForOption(source: string | undefined, argv: readonly string[]): string | undefined {
  const at = source === undefined ? -1 : argv.indexOf(source);
  const [joined, apart] = [argv[at - 1] ?? '', argv[at - 2] ?? ''];
  if (LISTS.test(joined) && joined.includes('=')) return joined.slice(0, joined.indexOf('='));
  return LISTS.test(apart) && !apart.includes('=') ? apart : undefined;
}
