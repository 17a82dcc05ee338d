import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { Readable } from 'node:stream';
import { type FilterOptions, type FilterWords, parseFilterArgs, parseLimit } from '../commands/terms.js';
import { type Io, isTerminal } from './io.js';
import { word } from './printable.js';
import { checked, UsageError } from './usage.js';

const PROGRESS = ['auto', 'plain', 'none'] as const;
export type ProgressKind = (typeof PROGRESS)[number];

/** The options of decode as commander gives them. */
export interface DecodeFlags extends FilterWords {
  output?: string;
  meta?: boolean;
  limit?: string;
  checksum: boolean;
  strict?: boolean;
  keepGoing?: boolean;
  threads?: string;
  progress?: string;
  quiet?: boolean;
  json?: boolean;
}

export interface CheckedDecode {
  readonly sources: readonly string[];
  /** Undefined for standard output. */
  readonly output: string | undefined;
  readonly filter: FilterOptions;
  readonly limit: number | undefined;
  readonly progress: ProgressKind;
  readonly threads: number;
}

/** Everything that can be known to be wrong before anything is opened. Throws UsageError. */
export async function checkDecode(sources: readonly string[], flags: DecodeFlags, io: Io): Promise<CheckedDecode> {
  const filter = checked(() => parseFilterArgs(flags));
  const { limit } = flags;
  const keys = limit === undefined ? undefined : checked(() => parseLimit('--limit', limit));
  const progress = checkProgress(flags);
  const threads = checkThreads(flags);
  checkSources(sources, io);
  if (flags.output === '') throw new UsageError('--output "": expected the path of a file');
  if (URL.test(flags.output ?? '')) throw new UsageError('--output is a URL: expected the path of a file');
  const output = flags.output === '-' ? undefined : flags.output;
  if (output !== undefined) await checkOutput(sources, output, io.stdin);
  return { sources, output, filter, limit: keys, progress, threads };
}

function checkProgress({ progress = 'auto', quiet }: DecodeFlags): ProgressKind {
  const known = PROGRESS.find((kind) => kind === progress);
  if (known === undefined) throw new UsageError(`--progress ${progress}: expected one of ${PROGRESS.join(', ')}`);
  return quiet === true ? 'none' : known;
}

const MOST_THREADS = 256;

function checkThreads({ threads }: DecodeFlags): number {
  if (threads === undefined) return availableParallelism();
  const number = /^\d{1,3}$/.test(threads) ? Number(threads) : 0;
  if (number < 1 || number > MOST_THREADS) throw new UsageError(`--threads ${word(threads)}: expected a number from 1 to ${MOST_THREADS}`);
  return number;
}

/** It may hold a password, so it is not shown. */
const URL = /^[a-z][a-z\d+.-]+:\/\//i;

function checkSources(sources: readonly string[], io: Io): void {
  for (const source of sources) {
    if (source === '') throw new UsageError('a source is an empty word: expected the path of an RDB file');
    if (URL.test(source)) {
      throw new UsageError('a source is a URL: expected the path of an RDB file (redis-cli --rdb dump.rdb takes one from a server)');
    }
  }
  const stdins = sources.filter((source) => source === '-').length;
  if (stdins > 1) throw new UsageError('standard input (-) is given twice, but can be read only once');
  if (stdins > 0 && isTerminal(io.stdin)) {
    throw new UsageError('standard input (-) is a terminal: pipe an RDB into it, like rdbkit decode - < dump.rdb');
  }
}

/** Neither the output, nor what an error would leave of it, may be a source: it would be gone. */
async function checkOutput(sources: readonly string[], output: string, stdin: Readable): Promise<void> {
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
