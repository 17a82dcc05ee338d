import { fstatSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { FilterOptions } from '../commands/terms.js';
import { type Io, isTerminal } from './io.js';
import { FILTERS } from './options/filters.js';
import { type CommandName, type Given, longName, type ValuesOf } from './options/option.js';
import { optionsOf } from './options/table.js';
import { isUrl } from './options/words.js';
import { word } from './printable.js';
import { NO_SOURCE, UsageError } from './usage.js';

/** The filter that the options describe. Throws UsageError. */
export function filterOf({
  given,
  options,
}: {
  readonly given: ReadonlyMap<string, Given>;
  readonly options: ValuesOf<typeof FILTERS>;
}): FilterOptions {
  const filter = Object.fromEntries(Object.entries(options).filter(([name]) => name in FILTERS)) as ValuesOf<typeof FILTERS>;
  const { maxSize = Infinity, minSize = 0 } = filter;
  if (minSize > maxSize) {
    throw new UsageError(
      `--min-size ${String(given.get('minSize'))} is above --max-size ${String(given.get('maxSize'))}: no key could pass`,
    );
  }
  return filter;
}

/** The sources; standard input if none is named and a pipe or a file is there. Throws UsageError. */
export function sourcesOf(words: readonly string[], { stdin }: Io): readonly string[] {
  if (words.length > 0) return words;
  if (!isPiped(stdin)) throw new UsageError(NO_SOURCE);
  return ['-'];
}

function isPiped(stdin: Readable): boolean {
  if (!('fd' in stdin) || typeof stdin.fd !== 'number') return false;
  try {
    const found = fstatSync(stdin.fd);
    return found.isFIFO() || found.isFile() || found.isSocket();
  } catch {
    return false; // it is closed
  }
}

/** Checks the sources, and an output file, before anything is opened. Throws UsageError. */
export async function checkSources(command: CommandName, sources: readonly string[], output: string | undefined, io: Io): Promise<void> {
  for (const source of sources) {
    if (source === '') throw new UsageError('a source is an empty word: expected the path of an RDB file');
    if (isUrl(source)) {
      throw new UsageError('a source is a URL: expected the path of an RDB file (redis-cli --rdb dump.rdb takes one from a server)');
    }
  }
  const stdins = sources.filter((source) => source === '-').length;
  if (stdins > 1) throw new UsageError('standard input (-) is given twice, but can be read only once');
  if (stdins > 0 && isTerminal(io.stdin)) {
    throw new UsageError(`standard input (-) is a terminal: pipe an RDB into it, like rdbkit ${command} - < dump.rdb`);
  }
  if (output !== undefined) await checkOutput(sources, output, io.stdin);
}

/** Neither an output, nor what is left of it after an error, may be a source: it would be overwritten. Throws UsageError. */
export async function checkOutput(sources: readonly string[], output: string, stdin: Readable, option = '--output'): Promise<void> {
  const standardInput = 'fd' in stdin && typeof stdin.fd === 'number' ? `/dev/fd/${stdin.fd}` : '';
  const written = [await identity(output), await identity(`${output}.partial`)];
  for (const source of sources) {
    const read = await identity(source === '-' ? standardInput : source);
    if (read !== undefined && written.includes(read)) {
      throw new UsageError(
        `${option} ${word(output)} would overwrite the source ${source === '-' ? 'that standard input comes from' : word(source)}`,
      );
    }
  }
}

/** No two outputs may be the same file. They are given by the options that name them. */
export async function checkApart(outputs: ReadonlyMap<string, string>): Promise<void> {
  const options = new Map<string, string>();
  for (const [option, path] of outputs) {
    const file = (await identity(path)) ?? (await place(path));
    const other = file === undefined ? undefined : options.get(file);
    if (other !== undefined) throw new UsageError(`${other} and ${option} name the same file, ${word(path)}: each needs its own`);
    if (file !== undefined) options.set(file, option);
  }
}

/** What a file is, whatever the name; undefined if there is none, or it is a pipe or a device. */
async function identity(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found?.isFile() === true ? `${found.dev}:${found.ino}` : undefined;
}

/** Where a file would be made; undefined if something is there. */
async function place(path: string): Promise<string | undefined> {
  if ((await stat(path).catch(() => undefined)) !== undefined) return undefined;
  const folder = await realpath(dirname(path)).catch(() => resolve(dirname(path)));
  return join(folder, basename(path));
}

/**
 * The option that a source may have been meant for as a second value: `--prefix a b` reads b as a source, since `--prefix a
 * dump.rdb` must.
 */
export function meantForOption(command: CommandName, source: string | undefined, argv: readonly string[]): string | undefined {
  const lists = optionsOf(command).flatMap(({ name, option }) => (option.kind === 'list' ? [longName(name)] : []));
  const at = source === undefined ? -1 : argv.indexOf(source);
  const [joined, apart] = [argv[at - 1] ?? '', argv[at - 2] ?? ''];
  return lists.find((name) => apart === name || joined.startsWith(`${name}=`));
}
