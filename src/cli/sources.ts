import { fstatSync, statSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { isPerShard, SHARD } from '../commands/dump-terms.js';
import { isServerUrl, type LiveOptions, redacted, type ServerUrl } from '../commands/live-terms.js';
import type { FilterOptions } from '../commands/terms.js';
import type { Invocation } from './command.js';
import { type Io, isTerminal } from './io.js';
import { FILTERS } from './options/filters.js';
import { type CommandName, type Given, LIVE, longName, type ValuesOf } from './options/option.js';
import { SOURCE } from './options/source.js';
import type { TARGET } from './options/target.js';
import { type OptionsOf, optionsOf } from './options/table.js';
import { isUrl } from './options/words.js';
import { printable, word } from './printable.js';
import { checkAccess, checkUrl, SOURCE_SIDE, TARGET_SIDE } from './server-access.js';
import { NO_SOURCE, UsageError } from './usage.js';

/** The filter that the options describe. Throws UsageError. */
export function filterOf({
  given,
  options,
}: {
  readonly given: ReadonlyMap<string, Given>;
  readonly options: Partial<ValuesOf<typeof FILTERS>>;
}): FilterOptions {
  const filter = Object.fromEntries(Object.entries(options).filter(([name]) => name in FILTERS)) as Partial<ValuesOf<typeof FILTERS>>;
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

/** How to read the sources that are servers, by their names in `sources`. */
export type LiveSources = ReadonlyMap<string, LiveOptions>;

/** Options of `SOURCE` and those that scan shares with others. */
type SourceValues = ValuesOf<typeof SOURCE, 'decode'> & Pick<OptionsOf<'decode'>, 'retryFor' | 'maxKeysPerSecond' | 'maxBytesPerSecond'>;

/**
 * The sources with the names of servers in place of their URLs, which may hold passwords. Where all sources are servers whose URLs name
 * a database, the filter has these, as if `--db` did. `targetIsRead`: the target is a server that is read, too, and options that are not
 * of sources alone are for it. Throws UsageError.
 */
export async function serversOf(
  { byVariable, given, io, options }: Pick<Invocation, 'byVariable' | 'given' | 'io'> & { readonly options: SourceValues },
  words: readonly string[],
  filter: FilterOptions,
  targetIsRead = false,
): Promise<{ sources: readonly string[]; live: LiveSources | undefined; filter: FilterOptions }> {
  const live = new Map<string, LiveOptions>();
  const sources: string[] = [];
  for (const text of words) {
    if (!isServerUrl(text)) {
      sources.push(text);
      continue;
    }
    const url = checkUrl(text, SOURCE_SIDE);
    const name = redacted(url);
    if (live.has(name)) throw new UsageError(`the source ${word(name)} is given twice`);
    sources.push(name);
    if (url.db !== undefined && filter.db !== undefined && filter.db.length > 0 && !filter.db.includes(url.db)) {
      throw new UsageError(`${word(name)} names database ${url.db}, which ${longName('db')} leaves out: no key could pass`);
    }
    live.set(name, await liveOptions(url, options, filter, io));
  }
  if (live.size > 0) return { sources, live, filter: withDatabases(filter, sources, live) };
  const idle = Object.keys(SOURCE).filter((option) => !targetIsRead || option.startsWith('source'));
  const typed = idle.find((option) => given.has(option) && !byVariable.has(option));
  if (typed === undefined) return { sources, live: undefined, filter };
  throw new UsageError(`${longName(typed)} is for sources that are servers, and none is given: name one as redis://host:port`);
}

/** Restricted to the databases of the URLs, if there is nothing else to read. */
function withDatabases(filter: FilterOptions, sources: readonly string[], live: LiveSources): FilterOptions {
  const named = sources.map((source) => live.get(source)?.access.url.db);
  const dbs = [...new Set(named.filter((db) => db !== undefined))];
  return named.includes(undefined) ? filter : { ...filter, db: dbs };
}

/** How to read a target, which is named as targets are. Throws UsageError. */
export async function targetToRead(
  url: ServerUrl,
  options: SourceValues & ValuesOf<typeof TARGET, 'diff'>,
  filter: FilterOptions,
  io: Io,
): Promise<LiveOptions> {
  const { cluster, standalone } = options;
  return {
    ...(await liveOptions(url, options, filter, io)),
    access: await checkAccess(url, options, TARGET_SIDE, io),
    side: 'target',
    cluster: cluster ? true : standalone ? false : undefined,
  };
}

async function liveOptions(url: ServerUrl, options: SourceValues, filter: FilterOptions, io: Io): Promise<LiveOptions> {
  const { idleTimes, maxBytesPerSecond, maxDump, maxKeysPerSecond, maxLatency, preferReplica, psyncCommand, retryFor, scanCount, via } =
    options;
  const words = {
    user: options.sourceUser,
    passwordFile: options.sourcePasswordFile,
    sentinelUser: options.sourceSentinelUser,
    sentinelPasswordFile: options.sourceSentinelPasswordFile,
    cacert: options.sourceCacert,
    cert: options.sourceCert,
    key: options.sourceKey,
    sni: options.sourceSni,
    insecure: options.sourceInsecure,
    natMap: options.sourceNatMap,
  };
  return {
    ...{ via, preferReplica, psyncCommand, retryFor },
    access: await checkAccess(url, words, SOURCE_SIDE, io),
    cluster: options.sourceCluster ? true : options.sourceStandalone ? false : undefined,
    filter: url.db === undefined ? filter : { ...filter, db: [url.db] },
    scan: { count: scanCount, idleTimes, maxDump, maxKeysPerSecond, maxBytesPerSecond, maxLatency },
    signal: io.signal,
  };
}

/** Whether a word is `host:port`, perhaps with a database, and no file. */
export const isAddress = (text: string | undefined): text is string =>
  text !== undefined && /^[a-z\d][\w.-]*:\d{1,5}(?:\/\d+)?$/i.test(text) && statSync(text, { throwIfNoEntry: false }) === undefined;

/** Checks the sources, and an output file, before anything is opened. Throws UsageError. */
export async function checkSources(
  command: CommandName,
  sources: readonly string[],
  output: string | undefined,
  io: Io,
  live?: LiveSources,
): Promise<void> {
  for (const source of sources) {
    if (live?.has(source) === true) continue;
    if (source === '') throw new UsageError('a source is an empty word: expected the path of an RDB file, or the URL of a server');
    const mayBeServer = LIVE.some((name) => name === command);
    if (mayBeServer && isAddress(source)) {
      throw new UsageError(`there is no file ${word(source)}; if it is a server, write redis://${printable(source)}`);
    }
    if (isUrl(source)) {
      const servers = mayBeServer ? ', or the URL of a server: redis://host:port' : '';
      throw new UsageError(`a source is a URL: expected the path of an RDB file${servers}`);
    }
  }
  const stdins = sources.filter((source) => source === '-').length;
  if (stdins > 1) throw new UsageError('standard input (-) is given twice, but can be read only once');
  if (stdins > 0 && isTerminal(io.stdin)) {
    throw new UsageError(`standard input (-) is a terminal: pipe an RDB into it, like rdbkit ${command} - < dump.rdb`);
  }
  if (output !== undefined) await checkOutput(sources, output, io.stdin);
  const plain = sources.find((source) => live?.has(source) !== true);
  if (SHARDED.includes(command) && isPerShard(output) && plain !== undefined) {
    throw new UsageError(`${SHARD} in --output stands for a server that is read, and the source ${word(plain)} is none`);
  }
}

/** Checks sources that are read more than once. Throws UsageError. */
export function checkReadable(sources: readonly string[], live: LiveSources): void {
  for (const source of sources) {
    const found = live.has(source) ? undefined : statSync(source, { throwIfNoEntry: false });
    if (source === '-' || (found !== undefined && !found.isFile() && !found.isDirectory())) {
      const name = source === '-' ? 'standard input' : word(source);
      throw new UsageError(`${name} can be read only once, and what differs is read again: name a file`);
    }
  }
}

/** Commands that can write each server, or master of a cluster, to a file of its own. */
const SHARDED: readonly CommandName[] = ['decode', 'dump'];

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
