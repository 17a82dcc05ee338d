import { readFileSync, statSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { Target } from '../commands/dump.js';
import type { RestoreConflict } from '../commands/restore.js';
import { type Address, addressText, isServerUrl, type Login, parseAddress, parseServerUrl, type ServerUrl, slotRanges } from '../commands/restore-terms.js';
import { type FilterOptions, parseSize, takesFunctions } from '../commands/terms.js';
import { checkDbMap, oneOf, targetOf } from './dump-options.js';
import type { Io } from './io.js';
import { printable, word } from './printable.js';
import { type CheckedSources, checkSources, type SourceFlags } from './source-options.js';
import { checked, UsageError } from './usage.js';

/** The options of restore as commander gives them. */
export interface RestoreFlags extends Omit<SourceFlags, 'ttl'> {
  onConflict?: string;
  flush?: boolean;
  yes?: boolean;
  dryRun?: boolean;
  dbMap?: string[];
  /** False for --no-ttl. */
  ttl?: string | false;
  stripTtl?: boolean;
  functions?: boolean;
  ttlShift?: string;
  targetVersion?: string;
  allowLoss?: boolean;
  maxPayload?: string;
  partition?: string;
  parallel?: string;
  maxKeysPerSecond?: string;
  maxBytesPerSecond?: string;
  maxInFlight?: string;
  retryFor?: string;
  checkpoint?: string;
  rejects?: string;
  cluster?: boolean;
  standalone?: boolean;
  natMap?: string[];
  user?: string;
  passwordFile?: string;
  sentinelUser?: string;
  sentinelPasswordFile?: string;
  cacert?: string;
  cert?: string;
  key?: string;
  insecure?: boolean;
  sni?: string;
  verbose?: boolean;
}

export interface CheckedRestore extends CheckedSources {
  readonly url: ServerUrl;
  readonly tls: ConnectionOptions | undefined;
  readonly sentinelLogin: Login | undefined;
  readonly natMap: ReadonlyMap<string, Address> | undefined;
  readonly cluster: boolean | undefined;
  readonly conflict: RestoreConflict;
  readonly flush: boolean;
  readonly dryRun: boolean;
  readonly dbMap: ReadonlyMap<number, number> | undefined;
  readonly stripTtl: boolean;
  readonly functions: boolean;
  readonly ttlShift: number | undefined;
  readonly target: Target | undefined;
  readonly allowLoss: boolean;
  readonly maxPayload: number | undefined;
  readonly parallel: number | undefined;
  readonly maxKeysPerSecond: number | undefined;
  readonly maxBytesPerSecond: number | undefined;
  readonly maxInFlight: number | undefined;
  readonly retryFor: number | undefined;
  readonly checkpoint: string | undefined;
  readonly rejects: string | undefined;
}

const CONFLICTS: readonly RestoreConflict[] = ['error', 'skip', 'replace'];

/** Throws UsageError. The last word is the target. */
export async function checkRestore(words: readonly string[], flags: RestoreFlags, io: Io): Promise<CheckedRestore> {
  const { sources, target: text } = split(words);
  const url = withLogin(checkUrl(text), flags, io);
  const common = await checkSources('restore', sources, { ...flags, ttl: flags.ttl === false ? undefined : flags.ttl }, io);
  const { checkpoint, limit, maxKeysPerSecond, maxBytesPerSecond, maxInFlight, maxPayload, parallel, rejects } = flags;
  if (flags.cluster === true && flags.standalone === true) throw new UsageError('--cluster and --standalone: expected one of them at most');
  if (checkpoint !== undefined && sources.includes('-')) throw new UsageError('--checkpoint: standard input cannot be read again from the beginning; name files');
  if (checkpoint !== undefined && limit !== undefined) throw new UsageError('--checkpoint does not go together with --limit');
  const dbMap = checkDbMap(flags.dbMap);
  if (dbMap !== undefined && url.db !== undefined) throw new UsageError('the target names a database, which all keys go into, and so does --db-map: expected one of them');
  for (const [option, path] of [['--checkpoint', checkpoint], ['--rejects', rejects]] as const) {
    if (path !== undefined && sources.some((source) => source !== '-' && isSameFile(source, path))) throw new UsageError(`${option} ${word(path)} would overwrite a source`);
  }
  return {
    ...common,
    filter: withPartition(common.filter, flags.partition),
    url,
    tls: await checkTls(url, flags),
    sentinelLogin: sentinelLogin(url, flags, io),
    natMap: checkNatMap(flags.natMap),
    cluster: flags.cluster === true ? true : flags.standalone === true ? false : undefined,
    conflict: oneOf('--on-conflict', flags.onConflict ?? 'error', CONFLICTS),
    flush: flags.flush === true,
    dryRun: flags.dryRun === true,
    dbMap,
    stripTtl: flags.stripTtl === true || flags.ttl === false,
    functions: flags.functions ?? takesFunctions(common), // a share of --partition is no choice of keys
    ttlShift: checkShift(flags.ttlShift),
    target: targetOf(flags.targetVersion),
    allowLoss: flags.allowLoss === true,
    maxPayload: size('--max-payload', maxPayload),
    parallel: count('--parallel', parallel, 64),
    maxKeysPerSecond: count('--max-keys-per-second', maxKeysPerSecond),
    maxBytesPerSecond: size('--max-bytes-per-second', maxBytesPerSecond),
    maxInFlight: size('--max-in-flight', maxInFlight),
    retryFor: flags.retryFor === undefined ? undefined : milliseconds('--retry-for', flags.retryFor),
    checkpoint,
    rejects,
  };
}

function split(words: readonly string[]): { sources: string[]; target: string } {
  const urls = words.filter((text) => isServerUrl(text));
  const target = words[words.length - 1];
  if (urls.length === 0) throw new UsageError('the target is missing: name it behind the sources, like redis://host:6379');
  if (urls.length > 1) throw new UsageError('there is more than one URL: expected sources and, behind them, one target');
  if (!isServerUrl(target)) throw new UsageError('the target does not come last: expected sources and, behind them, the target');
  if (words.length === 1) throw new UsageError('no source given: name an RDB file, or - for standard input, before the target');
  return { sources: words.slice(0, -1), target };
}

function checkUrl(text: string): ServerUrl {
  try {
    return parseServerUrl(text);
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(`the target: ${error.message}`, { cause: error }) : error;
  }
}

/** A password file comes first, then the environment, then the URL. */
function withLogin(url: ServerUrl, { passwordFile, user }: RestoreFlags, { env }: Io): ServerUrl {
  return { ...url, username: user ?? url.username, password: password('--password-file', passwordFile, env.REDISCLI_AUTH) ?? url.password };
}

/** That of a file comes before that of the environment, where an empty one is none. */
function password(option: string, path: string | undefined, given = ''): string | undefined {
  if (path !== undefined) return readText(option, path).replace(/\r?\n$/, '');
  return given === '' ? undefined : given;
}

function sentinelLogin({ sentinelMaster }: ServerUrl, { sentinelPasswordFile, sentinelUser: username }: RestoreFlags, { env }: Io): Login | undefined {
  if (sentinelMaster === undefined) {
    if (sentinelPasswordFile === undefined && username === undefined) return undefined;
    throw new UsageError('options of sentinels are given, but the target is not reached by them: write it as redis+sentinel://host:port/master');
  }
  return { username, password: password('--sentinel-password-file', sentinelPasswordFile, env.RDBKIT_SENTINEL_AUTH) };
}

function readText(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${option} ${word(path)}: ${error instanceof Error ? printable(error.message) : 'it cannot be read'}`);
  }
}

async function checkTls(url: ServerUrl, { cacert, cert, insecure, key, sni }: RestoreFlags): Promise<ConnectionOptions | undefined> {
  const given = [cacert, cert, key, sni].some((value) => value !== undefined) || insecure === true;
  if (!url.tls) {
    if (given) throw new UsageError('options of TLS are given, but the target is not reached by it: write it as rediss://');
    return undefined;
  }
  if ((cert === undefined) !== (key === undefined)) throw new UsageError('--cert and --key belong together: expected both');
  const files = {
    ...(cacert === undefined ? {} : { ca: readText('--cacert', cacert) }),
    ...(cert === undefined || key === undefined ? {} : { cert: readText('--cert', cert), key: readText('--key', key) }),
  };
  const { createSecureContext } = await import('node:tls');
  try {
    createSecureContext(files);
  } catch (error) {
    throw new UsageError(`--cert and --key: expected a certificate and its private key in PEM, got ${printable(error instanceof Error ? error.message : String(error))}`, { cause: error });
  }
  return { ...files, ...(sni === undefined ? {} : { servername: sni }), rejectUnauthorized: insecure !== true };
}

function checkNatMap(pairs: readonly string[] | undefined): ReadonlyMap<string, Address> | undefined {
  if (pairs === undefined) return undefined;
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      try {
        return [addressText(parseAddress(pair.slice(0, Math.max(at, 0)))), parseAddress(pair.slice(at + 1))];
      } catch {
        throw new UsageError(`--nat-map ${word(pair)}: expected inner and outer address, like 10.0.0.5:6379=localhost:7001`);
      }
    }),
  );
}

/** `3/16`: the third of sixteen ranges of slots. */
function withPartition(filter: FilterOptions, text: string | undefined): FilterOptions {
  if (text === undefined) return filter;
  const match = /^(\d{1,5})\/(\d{1,5})$/.exec(text);
  const [part, parts] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
  if (part < 1 || part > parts || parts > 16384) throw new UsageError(`--partition ${word(text)}: expected a share like 3/16, the third of sixteen`);
  const [first, last] = slotRanges(parts)[part - 1];
  const asked = filter.slot === undefined || filter.slot.length === 0 ? [[0, 16383] as const] : filter.slot;
  const slot = asked.map(([from, to]) => [Math.max(from, first), Math.min(to, last)] as const).filter(([from, to]) => from <= to);
  if (slot.length === 0) throw new UsageError(`--partition ${text} and --slot: no slot is in both`);
  return { ...filter, slot };
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function milliseconds(option: string, text: string): number {
  const match = /^(\d{1,12})(ms|s|m|h|d|)$/.exec(text);
  if (match === null) throw new UsageError(`${option} ${word(text)}: expected a time like 60s, 500ms, 2h or 1d`);
  return Number(match[1]) * UNITS[match[2] === '' ? 's' : match[2]];
}

function checkShift(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const sign = text.startsWith('-') ? -1 : 1;
  return sign * milliseconds('--ttl-shift', text.replace(/^[+-]/, ''));
}

function size(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = checked(() => parseSize(option, text));
  if (bytes < 1) throw new UsageError(`${option} ${word(text)}: expected a size of one byte at least`);
  return bytes;
}

function count(option: string, text: string | undefined, most = Infinity): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > most) throw new UsageError(`${option} ${word(text)}: expected a number from 1${most === Infinity ? '' : ` to ${most}`}`);
  return number;
}

/** Whether both names are of one file. */
function isSameFile(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false }));
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}
