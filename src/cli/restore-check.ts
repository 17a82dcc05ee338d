import { statSync } from 'node:fs';
import type { RestoreOptions } from '../commands/restore.js';
import { isServerUrl, type Manifest, ManifestError, readManifest, type ServerUrl, slotRanges } from '../commands/restore-terms.js';
import { type FilterOptions, takesFunctions } from '../commands/terms.js';
import type { Invocation } from './command.js';
import { isTerminal } from './io.js';
import type { OptionsOf } from './options/table.js';
import type { Share } from './options/words.js';
import { printable, word } from './printable.js';
import { checkAccess, checkUrl, TARGET_SIDE } from './server-access.js';
import { checkReadable, checkSources, filterOf, isAddress, type LiveSources, serversOf } from './sources.js';
import { UsageError } from './usage.js';

type Values = OptionsOf<'restore'>;

/** The options of a restore, without its listeners. The last word is the target. Throws UsageError. */
export async function checkRestore(invocation: Invocation<'restore'>): Promise<RestoreOptions> {
  const { given, io, options } = invocation;
  const { sources: named, target } = splitWords(invocation.words, options);
  const { sentinelLogin, tls, url } = await checkAccess(target, options, TARGET_SIDE, io);
  const { cluster, dbMap, dryRun, flush, limit, noChecksum, noTtl, partition, standalone, stripTtl, yes } = options;
  if (options.manifest === undefined && named.length === 0) {
    throw new UsageError('no source given: before the target, name an RDB file, the URL of another server, or - for standard input');
  }
  if (options.manifest !== undefined && named.length > 0) {
    throw new UsageError(`--manifest names the sources, and ${word(named[0])} is another one: leave one of them out`);
  }
  const manifest = options.manifest === undefined ? undefined : { path: options.manifest, manifest: await manifestAt(options.manifest) };
  const files = manifest?.manifest.files.map(({ file }) => file) ?? named;
  const { filter, live, sources } = await serversOf(invocation, files, filterOf(invocation));
  await checkSources('restore', sources, undefined, io, live);
  checkFiles(sources, options);
  if (options.verify !== undefined) checkVerified(sources, options, live);
  if (dbMap !== undefined && url.db !== undefined) {
    throw new UsageError('the target names a database for all keys: --db-map cannot be used with it');
  }
  if (flush && !dryRun && !yes && !(isTerminal(io.stdin) && isTerminal(io.stderr))) {
    throw new UsageError('--flush deletes keys, and there is no terminal to confirm on: add --yes');
  }
  const { signal, stdin, stdout } = io;
  return {
    ...options,
    ...{ sources, live, manifest, url, tls, sentinelLogin, stdin, stdout, signal },
    filter: partition === undefined ? filter : withPartition(filter, partition),
    cluster: cluster ? true : standalone ? false : undefined,
    conflict: options.onConflict,
    maxPayload: options.writeAs === 'commands' ? 0 : options.maxPayload,
    checksum: !noChecksum,
    stripTtl: stripTtl || noTtl,
    functions: options.functions ?? takesFunctions({ filter, limit }), // a share of --partition does not count as a choice of keys
    target: options.targetVersion,
    retryFirst: given.has('retryFor'),
  };
}

async function manifestAt(path: string): Promise<Manifest> {
  try {
    return await readManifest(path);
  } catch (error) {
    if (error instanceof ManifestError) throw new UsageError(`--manifest ${word(path)}: ${printable(error.message)}`);
    throw error;
  }
}

/** The sources are read again, to the end, and compared with what was written. */
function checkVerified(sources: readonly string[], { dryRun, limit }: Values, live: LiveSources | undefined): void {
  if (dryRun) throw new UsageError('--verify and --dry-run exclude each other: nothing is written that could be compared');
  if (limit !== undefined) throw new UsageError('--verify and --limit exclude each other: all keys of the sources are compared');
  checkReadable(sources, live ?? new Map());
}

/** Checks the files that are written, and sources that have to be read again. */
function checkFiles(sources: readonly string[], { checkpoint, limit, rejects }: Values): void {
  if (checkpoint !== undefined && sources.includes('-')) {
    throw new UsageError('--checkpoint: standard input cannot be read again from the beginning; name files');
  }
  if (checkpoint !== undefined && limit !== undefined) throw new UsageError('--checkpoint and --limit exclude each other');
  for (const [option, path] of [
    ['--checkpoint', checkpoint],
    ['--rejects', rejects],
  ] as const) {
    if (path !== undefined && sources.some((source) => source !== '-' && isSameFile(source, path))) {
      throw new UsageError(`${option} ${word(path)} would overwrite a source`);
    }
  }
}

/** The target is the last word, or what options of redis-cli name. Throws UsageError. */
export function splitWords(
  words: readonly string[],
  options: Pick<Values, 'host' | 'intoDb' | 'port' | 'tls'>,
): { sources: readonly string[]; target: ServerUrl } {
  const urls = words.filter((text) => isServerUrl(text));
  const { host, intoDb, port, tls } = options;
  const byOption = host !== undefined ? '-h' : port !== undefined ? '-p' : undefined;
  if (byOption !== undefined) {
    if (urls.length > 0 && words.length > urls.length && isServerUrl(words[words.length - 1])) {
      throw new UsageError(`${byOption} and a URL both name the target: expected one of them`);
    }
    const name = host ?? '127.0.0.1';
    const text = `redis://${name.includes(':') ? `[${name}]` : name}${port === undefined ? '' : `:${port}`}`;
    return { sources: words, target: { ...checkUrl(text, TARGET_SIDE), tls, db: intoDb } };
  }
  const { sources, target } = splitUrl(words, urls);
  const url = checkUrl(target, TARGET_SIDE);
  if (intoDb !== undefined && url.db !== undefined && intoDb !== url.db) {
    throw new UsageError(`-n ${intoDb} and the target URL, which says ${url.db}: expected one database`);
  }
  return { sources, target: { ...url, tls: tls || url.tls, db: intoDb ?? url.db } };
}

function splitUrl(words: readonly string[], urls: readonly string[]): { sources: readonly string[]; target: string } {
  const target = words[words.length - 1];
  if (urls.length === 0 && isAddress(target)) {
    throw new UsageError(`the target ${word(target)} has no scheme: write redis://${printable(target)}`);
  }
  if (urls.length === 0) {
    throw new UsageError('the target is missing: name it after the sources, like redis://host:6379, or with -h HOST');
  }
  if (!isServerUrl(target)) throw new UsageError('the target does not come last: expected sources and then the target');
  return { sources: words.slice(0, -1), target };
}

/** The slots of one part: the `part`-th of `parts` ranges, within --slot if given. */
function withPartition(filter: FilterOptions, { part, parts }: Share): FilterOptions {
  const [first, last] = slotRanges(parts)[part - 1];
  const asked = filter.slot ?? [[0, 16383] as const];
  const slot = asked.map(([from, to]) => [Math.max(from, first), Math.min(to, last)] as const).filter(([from, to]) => from <= to);
  if (slot.length === 0) throw new UsageError(`--partition ${part}/${parts} and --slot: no slot is in both`);
  return { ...filter, slot };
}

/** Whether two paths are the same file. */
function isSameFile(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false }));
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}
