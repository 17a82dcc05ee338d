import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { redacted, type ServerUrl } from '../commands/live-terms.js';
import { addressText, isServerUrl, ManifestError, readManifest } from '../commands/restore-terms.js';
import { MOST_SOURCES } from '../commands/sync-terms.js';
import type { SyncOptions } from '../commands/sync.js';
import { takesFunctions } from '../commands/terms.js';
import type { Invocation } from './command.js';
import { type Io, isTerminal } from './io.js';
import { longName } from './options/option.js';
import type { OptionsOf } from './options/table.js';
import { printable, word } from './printable.js';
import { splitWords } from './restore-check.js';
import { checkAccess, TARGET_SIDE } from './server-access.js';
import { checkSources, filterOf, isAddress, serversOf } from './sources.js';
import { UsageError } from './usage.js';

type Values = OptionsOf<'sync'>;

/** The same for each of several sources: all have one target. Throws UsageError. */
export async function checkSyncs(invocation: Invocation<'sync'>): Promise<readonly [SyncOptions, ...SyncOptions[]]> {
  const { options, words } = invocation;
  const { dbMap = [], host, port } = options;
  // the last word is the target, unless options name it
  const targets = host !== undefined || port !== undefined ? [] : words.slice(-1);
  const sources = targets.length === 0 ? words : words.slice(0, -1);
  if (sources.length > MOST_SOURCES) throw new UsageError(`${sources.length} sources are too many for one sync: up to ${MOST_SOURCES}`);
  const all = sources.length < 2 ? [words] : sources.map((source) => [source, ...targets]);
  const [first, ...others] = await Promise.all(all.map((own) => checkSync({ ...invocation, words: own })));
  const syncs = [first, ...others] as const;
  const names = syncs.map((one) => one.sources[0]);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`the source ${word(twice)} is given twice`);
  const target = redacted(first.url);
  if (syncs.length > 1 && names.includes(target)) throw new UsageError(`${word(target)} is a source, and the target`);
  const known = new Set(syncs.flatMap((one) => addressesOf(one.source.access.url)));
  const stray = dbMap.find(({ source }) => source !== undefined && !known.has(source));
  if (stray !== undefined) {
    const { from, source = '', to } = stray;
    const there = names.map(printable).join(', ');
    throw new UsageError(`--db-map ${word(`${source}/${from}:${to}`)}: no source has this address; there are ${there}`);
  }
  return syncs;
}

const addressesOf = ({ addresses }: ServerUrl): string[] => addresses.map(addressText);

/** The databases of one source: what is said of it alone counts more than what is said of all. */
function dbMapOf(pairs: Values['dbMap'], url: ServerUrl): SyncOptions['dbMap'] {
  const own = pairs?.filter(({ source }) => source === undefined || addressesOf(url).includes(source)) ?? [];
  const counts = own.filter(
    ({ from, source }) => source !== undefined || !own.some((other) => other.source !== undefined && other.from === from),
  );
  return counts.length === 0 ? undefined : new Map(counts.map(({ from, to }) => [from, to]));
}

/** The options of a sync, without its listeners and signals. The last word is the target. Throws UsageError. */
export async function checkSync(invocation: Invocation<'sync'>): Promise<SyncOptions> {
  const { given, io, options } = invocation;
  const { sources: words, target } = splitWords(invocation.words, options);
  checkSource(words);
  const { sentinelLogin, tls, url } = await checkAccess(target, options, TARGET_SIDE, io);
  const { cluster, seed, standalone } = options;
  const read = { ...options, ...NO_SCAN } as const;
  const { filter, live, sources } = await serversOf({ ...invocation, options: read }, words, filterOf(invocation));
  const source = live?.get(sources[0]);
  if (source === undefined) throw new UsageError(NO_SOURCE);
  if (options.dbMap !== undefined && url.db !== undefined) {
    throw new UsageError('the target names a database for all keys: --db-map cannot be used with it');
  }
  checkPhase(invocation);
  const meaningless = meaninglessOf(invocation);
  const seeds = await seedsOf(seed, io);
  checkQuestions(options, io);
  return {
    ...options,
    ...{ sources, source, url, tls, sentinelLogin, filter, ...seeds },
    ...{ stdin: io.stdin, stdout: io.stdout, checksum: true },
    dbMap: dbMapOf(options.dbMap, source.access.url),
    cluster: cluster ? true : standalone ? false : undefined,
    conflict: options.onConflict,
    target: options.targetVersion,
    functions: options.functions ?? takesFunctions({ filter }),
    retryFirst: given.has('retryFor'),
    spool: spoolFolder(options, io.env),
    untilCaughtUp: options.until === 'caught-up',
    holdExpiries: options.expiry === 'held',
    confirm: options.confirm === 'wait',
    roundEvery: given.has('settle') ? options.settle : undefined,
    meaningless,
    onGap: options.onGap ?? (options.yes ? 'full' : undefined),
  };
}

const NO_SCAN = { scanCount: undefined, idleTimes: false, maxDump: undefined, maxLatency: undefined } as const;

const NO_SOURCE = 'no source given: before the target, name the server that is copied, as redis://host:port';

/** One server, sentinels or a cluster. */
function checkSource(words: readonly string[]): void {
  const [first] = words;
  if (words.length === 0) throw new UsageError(NO_SOURCE);
  if (isServerUrl(first)) return;
  if (isAddress(first)) throw new UsageError(`the source ${word(first)} has no scheme: write redis://${printable(first)}`);
  throw new UsageError(
    `the source ${word(first)} is no server, which a sync needs: expected redis://host:port. ` +
      'rdbkit restore copies a file; --seed takes the full copy of a sync from one',
  );
}

/** Options that have no meaning where there is no full copy, or nothing after it. */
const OF_COPY = ['seed', 'keepRdb', 'flush', 'fresh', 'rejects'] as const;
const OF_CHANGES = ['until', 'onlyCommand', 'notCommand', 'maxOpsPerSecond', 'publish'] as const;
const OF_CATCHING_UP = ['maxLag', 'settle', 'pauseSource'] as const;
/** Less time than this is over before a client notices. */
const LEAST_PAUSE = 1000;

function checkPhase({ byVariable, given, options }: Invocation<'sync'>): void {
  const typed = (names: readonly string[]): string | undefined => names.find((name) => given.has(name) && !byVariable.has(name));
  const { forget, keepRdb, phase, spool, until, via } = options;
  const wrong = phase === 'changes' ? typed(OF_COPY) : phase === 'full' ? typed(OF_CHANGES) : undefined;
  if (wrong !== undefined) {
    const why = phase === 'changes' ? 'there is no full copy' : 'only the full copy is made';
    throw new UsageError(`${longName(wrong)} has no meaning with --phase ${phase}: ${why}`);
  }
  const late = until === undefined ? typed(via === 'replication' ? OF_CATCHING_UP : OF_CATCHING_UP.slice(0, 1)) : undefined;
  if (late !== undefined) throw new UsageError(`${longName(late)} is for --until caught-up, which is not given`);
  if (keepRdb && spool === 'none') throw new UsageError('--keep-rdb needs a folder to keep the RDB in, and --spool none gives it none');
  const { pauseSource } = options;
  if (pauseSource === undefined && typed(['verify']) !== undefined) {
    throw new UsageError('--verify compares while the source is paused: add --pause-source, or use rdbkit diff');
  }
  if (pauseSource !== undefined && pauseSource < LEAST_PAUSE) throw new UsageError('--pause-source: the shortest time is 1s');
  const idle = forget ? typed(['dryRun', 'flush', 'keepRdb', 'seed', 'status', 'until']) : undefined;
  if (idle !== undefined) throw new UsageError(`${longName(idle)} has no meaning with --forget, which copies nothing`);
}

/** Options for one way in which a source is followed, unless they have the value that the other way has anyway. */
const OF_REPLICATION = [
  ...(['spool', 'spoolMax', 'seed', 'expiry', 'confirm', 'publish', 'onlyCommand', 'notCommand'] as const),
  ...(['maxOpsPerSecond', 'onGap', 'psyncCommand', 'preferReplica'] as const),
];
const HARMLESS: Readonly<Record<string, string>> = { spool: 'none', expiry: 'exact', confirm: 'answered', onGap: 'full' };

/** Those that are given for the other way. Throws UsageError if the way is given, too. */
function meaninglessOf({ byVariable, given, options }: Invocation<'sync'>): SyncOptions['meaningless'] {
  const { until, via } = options;
  const typed = (name: string): boolean => given.has(name) && !byVariable.has(name);
  const of = (names: readonly (keyof Values)[]): string[] =>
    names.filter((name) => typed(name) && (HARMLESS[name] ?? NaN) !== options[name]).map(longName);
  const found = {
    scan: of(OF_REPLICATION),
    replication: of(until === undefined ? ['events', 'settle'] : ['events']),
  };
  if (via === 'auto') return found;
  const wrong = found[via].at(0);
  if (wrong === undefined) return found;
  throw new UsageError(`${wrong} has no meaning with --via ${via}: ${REASONS[wrong] ?? OTHERWISE[via]}`);
}

const REASONS: Readonly<Record<string, string>> = {
  '--expiry': 'expiries are exact, and a key that is renewed is fetched again',
  '--on-gap': 'what was missed is made up for by another scan',
  '--prefer-replica': 'a replica may have an older value than the one that its master told of',
  '--settle': 'without --until caught-up it is only for --via scan',
};
const OTHERWISE = {
  scan: 'keys are fetched, and no commands are received',
  replication: 'it is only for --via scan',
} as const;

/** The files of the full copy, and the manifest that names them. */
async function seedsOf(seed: readonly string[] | undefined, io: Io): Promise<Pick<SyncOptions, 'seed' | 'seedManifest'>> {
  if (seed === undefined) return {};
  if (seed.includes('-')) throw new UsageError('--seed -: standard input cannot be read again after a lost connection: name a file');
  await checkSources('restore', seed, undefined, io);
  const manifests = seed.filter(isManifest);
  if (manifests.length === 0) return { seed };
  if (seed.length > 1) throw new UsageError(`--seed ${word(manifests[0])} is a manifest, which names all files: leave out the others`);
  const [path] = manifests;
  try {
    const manifest = await readManifest(path);
    return { seed: manifest.files.map(({ file }) => file), seedManifest: { path, manifest } };
  } catch (error) {
    if (error instanceof ManifestError) throw new UsageError(`--seed ${word(path)}: ${printable(error.message)}`);
    throw error;
  }
}

/** An RDB file begins with a letter, or compressed with other bytes. */
function isManifest(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  const file = openSync(path, 'r');
  try {
    const first = Buffer.alloc(64);
    return first.toString('latin1', 0, readSync(file, first)).trimStart().startsWith('{');
  } finally {
    closeSync(file);
  }
}

/** Where nobody can be asked, what is deleted has to be agreed to by --yes. */
function checkQuestions({ dryRun, flush, forget, yes }: Values, io: Io): void {
  if (yes || dryRun || canAsk(io)) return;
  if (flush) throw new UsageError('--flush deletes keys, and there is no terminal to confirm on: add --yes');
  if (forget) throw new UsageError('--forget removes what a sync needs to go on, and there is no terminal to confirm on: add --yes');
}

export const canAsk = ({ stderr, stdin }: Io): boolean => isTerminal(stdin) && isTerminal(stderr);

/** Undefined for none. The folder of the state of programs: XDG Base Directory Specification, which ignores relative paths. */
function spoolFolder({ spool }: Values, { HOME = '', XDG_STATE_HOME: state = '' }: Io['env']): string | undefined {
  if (spool !== undefined) return spool === 'none' ? undefined : spool;
  return join(isAbsolute(state) ? state : join(HOME === '' ? homedir() : HOME, '.local', 'state'), 'rdbkit');
}
